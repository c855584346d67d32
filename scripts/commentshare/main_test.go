package main

import "testing"

func TestCount(t *testing.T) {
	got := count([]byte("// Package p does.\npackage p\n\n//go:generate x\nvar s = \"// no\" // yes, but not alone\n/* two\nlines */\nvar raw = `a\n// b\n`\n"))
	if want := (share{comments: 3, lines: 9}); got != want {
		t.Errorf("count = %+v, want %+v", got, want)
	}
}
