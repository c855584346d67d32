// Command words prints where a retired name still stands in code:
//
//	go run ./scripts/words [-text] [-summary] [-everywhere]
//
// retired.txt lists the names by the folder where they had their meaning, and
// allowed.txt the uses that are meant, each with its reason. A name is looked
// for as a whole Go identifier and as the name of a file; with -text also as a
// whole word of comments and strings, where most uses are plain English. It
// exits 1 if anything is found that allowed.txt does not list.
package main

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"weir/scripts/repocheck"
)

//go:embed retired.txt
var retiredList string

//go:embed allowed.txt
var allowedList string

func main() {
	text := flag.Bool("text", false, "search comments and strings too")
	summary := flag.Bool("summary", false, "print how often each word remains, not where")
	everywhere := flag.Bool("everywhere", false, "search the whole repository for each word, not just its folder")
	flag.Parse()
	hits, err := search(os.DirFS("."), options{text: *text, everywhere: *everywhere})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *summary {
		printSummary(hits)
	} else {
		for _, h := range hits {
			fmt.Printf("%s:%d: %s -> %s: %s\n", h.file, h.line, h.word.old, h.word.replacement, h.text)
		}
	}
	fmt.Printf("%d uses of retired words\n", len(hits))
	if len(hits) > 0 {
		os.Exit(1)
	}
}

type options struct{ text, everywhere bool }

// retired is one line of retired.txt for one word.
type retired struct {
	folder, old, replacement string
}

// hit is one place where a retired word stands.
type hit struct {
	word retired
	file string
	line int // 0 for the file's own name
	text string
}

// search looks for all retired words in the repository.
func search(repository fs.FS, o options) ([]hit, error) {
	words, err := parseRetired(retiredList)
	if err != nil {
		return nil, err
	}
	uses, err := parseAllowed(allowedList)
	if err != nil {
		return nil, err
	}
	files, err := repocheck.GoFiles(repository)
	if err != nil {
		return nil, err
	}
	var hits []hit
	for _, p := range files {
		if strings.HasPrefix(p, "scripts/words/") {
			continue // the lists and their tests spell the words
		}
		inFolder := wordsFor(words, p, o.everywhere)
		body, err := fs.ReadFile(repository, p)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
		hits = append(hits, searchFile(p, body, inFolder, o.text)...)
	}
	return slices.DeleteFunc(hits, func(h hit) bool { return isAllowed(uses, h) }), nil
}

// wordsFor returns the words that are retired in the folder of file p. Where
// several folders retire one word, the innermost has it.
func wordsFor(words []retired, p string, everywhere bool) []retired {
	var found []retired
	for _, w := range words {
		if everywhere || within(p, w.folder) {
			found = append(found, w)
		}
	}
	slices.SortStableFunc(found, func(a, b retired) int { return cmp.Compare(len(b.folder), len(a.folder)) })
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(w retired) bool {
		again := seen[w.old]
		seen[w.old] = true
		return again
	})
}

func within(p, folder string) bool { return folder == "." || strings.HasPrefix(p, folder+"/") }

// searchFile looks at the file's name, its identifiers and, if text is set, at
// the words of its comments and strings.
func searchFile(p string, body []byte, words []retired, text bool) []hit {
	var hits []hit
	lines := strings.Split(string(body), "\n")
	for _, w := range words {
		if path.Base(p) == w.old {
			hits = append(hits, hit{word: w, file: p, text: "the file's name"})
		}
	}
	for name, line := range tokens(body, text) {
		for _, w := range words {
			if w.matches(name) {
				hits = append(hits, hit{word: w, file: p, line: line, text: strings.TrimSpace(lines[line-1])})
			}
		}
	}
	return hits
}

// matches reports whether name is the word or, for spell*, begins with it.
func (w retired) matches(name string) bool {
	if prefix, ok := strings.CutSuffix(w.old, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == w.old
}

var word = regexp.MustCompile(`\bfor ever\b|[A-Za-z_][A-Za-z0-9_]*`)

// tokens yields the identifiers of Go source with their lines, and, if text is
// set, the words of its comments and strings.
func tokens(body []byte, text bool) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		f := token.NewFileSet().AddFile("", -1, len(body))
		var s scanner.Scanner
		s.Init(f, body, nil, scanner.ScanComments)
		for {
			pos, tok, literal := s.Scan()
			switch {
			case tok == token.EOF:
				return
			case tok == token.IDENT:
				if !yield(literal, f.Line(pos)) {
					return
				}
			case text && (tok == token.COMMENT || tok == token.STRING):
				for i, line := range strings.Split(literal, "\n") {
					for _, w := range word.FindAllString(line, -1) {
						if !yield(w, f.Line(pos)+i) {
							return
						}
					}
				}
			}
		}
	}
}

// parseRetired reads lines "old, old -> new, new" under "[folder]". Words are
// paired with their replacements in order; where the two differ in number, each
// word gets the whole of the right side.
func parseRetired(list string) ([]retired, error) {
	var words []retired
	folder := ""
	for i, line := range entries(list) {
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			folder = strings.Trim(line, "[]")
			continue
		}
		olds, replacement, ok := strings.Cut(line, "->")
		if !ok || folder == "" {
			return nil, fmt.Errorf("retired.txt:%d: want old, old -> new below a [folder]: %q", i, line)
		}
		words = append(words, pairs(folder, strings.Split(olds, ","), strings.TrimSpace(replacement))...)
	}
	return words, nil
}

func pairs(folder string, olds []string, replacement string) []retired {
	news := strings.Split(replacement, ",")
	var words []retired
	for i, old := range olds {
		w := retired{folder, strings.TrimSpace(old), replacement}
		if len(news) == len(olds) {
			w.replacement = strings.TrimSpace(news[i])
		}
		words = append(words, w)
	}
	return words
}

// allowed is one line of allowed.txt: a word may stand in a file or folder.
type allowed struct{ path, word, reason string }

// parseAllowed reads lines "path  word  reason".
func parseAllowed(list string) ([]allowed, error) {
	var uses []allowed
	for i, line := range entries(list) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("allowed.txt:%d: want a path, a word and the reason: %q", i, line)
		}
		uses = append(uses, allowed{fields[0], fields[1], strings.Join(fields[2:], " ")})
	}
	return uses, nil
}

func isAllowed(uses []allowed, h hit) bool {
	return slices.ContainsFunc(uses, func(a allowed) bool {
		return a.word == h.word.old && (a.path == h.file || within(h.file, a.path))
	})
}

// entries yields the lines of a list by number, without comments and blanks.
func entries(list string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		for i, line := range strings.Split(list, "\n") {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !yield(i+1, line) {
				return
			}
		}
	}
}

func printSummary(hits []hit) {
	type row struct{ folder, word string }
	counts := map[row]int{}
	var rows []row
	for _, h := range hits {
		r := row{h.word.folder, h.word.old + " -> " + h.word.replacement}
		if counts[r] == 0 {
			rows = append(rows, r)
		}
		counts[r]++
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.folder, b.folder), cmp.Compare(a.word, b.word)) })
	for _, r := range rows {
		fmt.Printf("%5d  %-18s %s\n", counts[r], r.folder, r.word)
	}
}
