package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const securityFile = "../../.github/SECURITY.md"

// TestAttacksAreListed compares the table of SECURITY.md with the attacks.
func TestAttacksAreListed(t *testing.T) {
	var want strings.Builder
	want.WriteString("| attack | by | what they do |\n|---|---|---|\n")
	names := map[string]bool{}
	for _, a := range attacks() {
		if a.name == "" || a.who == "" || a.what == "" || a.run == nil || names[a.name] {
			t.Errorf("attack %q is not described, or twice", a.name)
		}
		names[a.name] = true
		fmt.Fprintf(&want, "| %s | %s | %s |\n", a.name, a.who, a.what)
	}
	text, err := os.ReadFile(securityFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n\n"+want.String()+"\n") {
		t.Errorf("the table of %s is not:\n%s", securityFile, want.String())
	}
}
