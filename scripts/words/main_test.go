package main

import (
	"os"
	"strings"
	"testing"
)

func TestSearchFile(t *testing.T) {
	words, err := parseRetired("[query]\ntold, spell* -> userAttributes, encode…\n[.]\nfor ever -> permanently\n")
	if err != nil {
		t.Fatal(err)
	}
	source := []byte("package p\n\n// told for ever\nvar told = spellOut(\"told\")\n")
	for _, c := range []struct {
		file string
		text bool
		want string
	}{
		{"query/a.go", false, "told:4 spell*:4"},
		{"query/a.go", true, "told:3 for ever:3 told:4 spell*:4 told:4"},
		{"ingest/a.go", true, "for ever:3"},
	} {
		var got []string
		for _, h := range searchFile(c.file, source, wordsFor(words, c.file, false), c.text) {
			got = append(got, h.word.old+":"+string(rune('0'+h.line)))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s, text %v: found %q, want %q", c.file, c.text, s, c.want)
		}
	}
	if words[0].replacement != "userAttributes" {
		t.Errorf("told is replaced by %q, want userAttributes", words[0].replacement)
	}
}

func TestListsParse(t *testing.T) {
	if _, err := parseRetired(retiredList); err != nil {
		t.Error(err)
	}
	if _, err := parseAllowed(allowedList); err != nil {
		t.Error(err)
	}
}

// TestRetiredNamesAreGone holds the code to the list: a name of retired.txt
// comes back only with a line in allowed.txt and its reason.
func TestRetiredNamesAreGone(t *testing.T) {
	hits, err := search(os.DirFS("../.."), options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		t.Errorf("%s:%d: %s is now called %s", h.file, h.line, h.word.old, h.word.replacement)
	}
}
