package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// patches is the folder of the mistakes.
const patches = "scripts/mistakes/testdata/mistakes"

// mistake is one file of patches: a change of one file of the product that makes
// it wrong, and the test that notices.
type mistake struct {
	name  string // of the file, without .patch
	words string // what is wrong
	pkg   string // of the test, like ./processor
	test  string
	file  string // that is changed
	hunks []hunk
}

// hunk is one place of a patch. Its lines are looked for in the whole file, and the
// numbers in the patch are not read: the patch stays good while other lines move.
type hunk struct{ before, after string } // whole lines

// readMistakes reads all files of patches, by name.
func readMistakes(root fs.FS) ([]mistake, error) {
	files, err := fs.Glob(root, patches+"/*.patch")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no patches in %s: %w", patches, err)
	}
	slices.Sort(files)
	var all []mistake
	for _, name := range files {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return nil, fmt.Errorf("read a mistake: %w", err)
		}
		m, err := parseMistake(strings.TrimSuffix(path.Base(name), ".patch"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// parseMistake reads a header of two lines, and a unified diff of one file:
//
//	Mistake: what is wrong, in words
//	Test: ./package TestName
func parseMistake(name, text string) (mistake, error) {
	m := mistake{name: name}
	header, changes, _ := strings.Cut(text, "\n@@")
	for line := range strings.SplitSeq(header, "\n") {
		switch key, value, _ := strings.Cut(line, " "); key {
		case "Mistake:":
			m.words = value
		case "Test:":
			m.pkg, m.test, _ = strings.Cut(value, " ")
		case "+++":
			m.file = strings.TrimPrefix(value, "b/")
		}
	}
	if strings.Contains(changes, "\n+++ b/") {
		return m, errors.New("changes several files: one file makes one mistake")
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(changes, "\n"), "\n@@") {
		var h hunk
		_, lines, _ := strings.Cut(part, "\n") // the first line has the numbers
		for line := range strings.SplitSeq(lines, "\n") {
			h.add(line)
		}
		if lines != "" {
			m.hunks = append(m.hunks, h)
		}
	}
	if m.words == "" || m.pkg == "" || m.test == "" || m.file == "" || len(m.hunks) == 0 {
		return m, fmt.Errorf("needs a line %q, a line %q and a unified diff of one file", "Mistake: WORDS", "Test: ./PACKAGE NAME")
	}
	return m, nil
}

// add takes one line of a patch below its @@.
func (h *hunk) add(line string) {
	if line == "" {
		line = " " // an empty line of context whose blank an editor has removed
	}
	kind, content := line[:1], line[1:]+"\n"
	if kind == " " || kind == "-" {
		h.before += content
	}
	if kind == " " || kind == "+" {
		h.after += content
	}
}

// apply returns the text of m.file with the mistake in it.
func (m mistake) apply(text string) (string, error) {
	text = "\n" + text // so that each line begins after a line end
	for _, h := range m.hunks {
		if n := countLines(text, "\n"+h.before); n != 1 {
			return "", fmt.Errorf("%s/%s.patch no longer applies: %s has these lines %d times:\n%s%s", patches, m.name, m.file, n, h.before, m.anew())
		}
		text = strings.Replace(text, "\n"+h.before, "\n"+h.after, 1)
	}
	return text[1:], nil
}

// countLines counts where lines stand in text; the end of one place may be the start
// of the next.
func countLines(text, lines string) int {
	n := 0
	for at := strings.Index(text, lines); at >= 0; at = strings.Index(text, lines) {
		n, text = n+1, text[at+1:]
	}
	return n
}

// anew says how to make the patch of m again.
func (m mistake) anew() string {
	return fmt.Sprintf(`To make it anew, change %[1]s so that: %[2]s
Then keep the first two lines of the patch and put the difference below them:
	git diff -U1 %[1]s     (a larger -U where the lines stand several times)
	git restore %[1]s
	go run ./scripts/mistakes --only '^%[3]s$'
`, m.file, m.words, m.name)
}
