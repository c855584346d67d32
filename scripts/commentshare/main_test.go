package main

import (
	"os"
	"testing"
)

func TestCount(t *testing.T) {
	got := count([]byte("// Package p does.\npackage p\n\n//go:generate x\nvar s = \"// no\" // yes, but not alone\n/* two\nlines */\nvar raw = `a\n// b\n`\n"))
	if want := (share{comments: 3, lines: 9}); got != want {
		t.Errorf("count = %+v, want %+v", got, want)
	}
}

// TestShareOfComments holds the packages whose protocol must be explained to a
// share of comment lines: below it reasons are missing, above it comments
// repeat the code.
func TestShareOfComments(t *testing.T) {
	const least, most = 12, 20 // percent
	packages, err := countPackages(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"schemas/lake", "processor", "query"} {
		if s := total(packages, dir); s.percent() < least || s.percent() > most {
			t.Errorf("%s and below: %s are comments, want %d to %d %%: see `make comments`", dir, s, least, most)
		}
	}
}
