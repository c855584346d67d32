// Command commentshare prints, for every folder given and every package below
// it, how many of the non-blank lines of non-test Go are comment lines:
//
//	go run ./scripts/commentshare schemas/lake processor query
//
// A line counts as a comment if nothing else stands on it. Directives
// (//go:, //nolint) count as code. Generated files are left out.
package main

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"weir/scripts/repocheck"
)

func main() {
	dirs := os.Args[1:]
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	packages, err := countPackages(os.DirFS("."))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, dir := range dirs {
		dir = path.Clean(dir)
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			if within(name, dir) {
				fmt.Printf("%s  %s\n", packages[name], name)
			}
		}
		fmt.Printf("%s  %s and below\n", total(packages, dir), dir)
	}
}

// share is how many of lines non-blank lines are comment lines.
type share struct{ comments, lines int }

func (s share) percent() float64 { return 100 * float64(s.comments) / float64(max(s.lines, 1)) }

func (s share) String() string {
	return fmt.Sprintf("%5.1f %%  %5d of %6d lines", s.percent(), s.comments, s.lines)
}

func (s share) plus(o share) share { return share{s.comments + o.comments, s.lines + o.lines} }

// total adds up the packages in dir and below.
func total(packages map[string]share, dir string) share {
	var sum share
	for name, s := range packages {
		if within(name, dir) {
			sum = sum.plus(s)
		}
	}
	return sum
}

func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// countPackages counts the non-test, non-generated Go of every folder.
func countPackages(repository fs.FS) (map[string]share, error) {
	files, err := repocheck.GoFiles(repository)
	if err != nil {
		return nil, err
	}
	packages := map[string]share{}
	for _, p := range files {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(repository, p)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
		if bytes.HasPrefix(text, []byte("// Code generated ")) {
			continue
		}
		packages[path.Dir(p)] = packages[path.Dir(p)].plus(count(text))
	}
	return packages, nil
}

// count tells comment lines from code lines by the tokens that stand on them,
// so that a // inside a string is code.
func count(text []byte) share {
	files := token.NewFileSet()
	f := files.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(f, text, nil, scanner.ScanComments)
	code, comments := map[int]bool{}, map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.SEMICOLON && literal == "\n" {
			continue // the scanner put it there
		}
		kind := code
		if tok == token.COMMENT && !isDirective(literal) {
			kind = comments
		}
		first := f.Line(pos)
		for line := first; line <= first+strings.Count(literal, "\n"); line++ {
			kind[line] = true
		}
	}
	only := 0
	for line := range comments {
		if !code[line] {
			only++
		}
	}
	return share{comments: only, lines: only + len(code)}
}

func isDirective(comment string) bool {
	return strings.HasPrefix(comment, "//go:") || strings.HasPrefix(comment, "//nolint")
}
