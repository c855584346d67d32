package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"weir/scripts/overlay"
)

const root = "../.."

// TestEveryMistakeApplies is the quick half of `make mistakes`: each patch still
// finds its lines, and its test still exists.
func TestEveryMistakeApplies(t *testing.T) {
	repository := os.DirFS(root)
	all, err := readMistakes(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		text, err := fs.ReadFile(repository, m.file)
		if err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, m.anew())
			continue
		}
		wrong, err := m.apply(string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, wrong, 0); err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, m.anew())
		}
		if !hasTest(t, repository, m) {
			t.Errorf("%s.patch names the test %s, which %s does not have", m.name, m.test, m.pkg)
		}
	}
}

func hasTest(t *testing.T, repository fs.FS, m mistake) bool {
	t.Helper()
	files, err := fs.Glob(repository, strings.TrimPrefix(m.pkg, "./")+"/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(m.test) + `\(t \*testing\.T\)`)
	for _, name := range files {
		text, err := fs.ReadFile(repository, name)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(text) {
			return true
		}
	}
	return false
}

const header = "Mistake: b is 3\nTest: ./p TestB\n--- a/p/p.go\n+++ b/p/p.go\n"

func TestApply(t *testing.T) {
	m, err := parseMistake("b", header+"@@ -7,3 +7,3 @@ func\n a\n-b = 2\n+b = 3\n \n")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.apply("package p\na\nb = 2\n\nc\n"); err != nil || got != "package p\na\nb = 3\n\nc\n" {
		t.Errorf("apply = %q, %v", got, err)
	}
	for name, text := range map[string]string{
		"the lines are gone":          "a\nb = 4\n\n",
		"the lines stand twice":       "a\nb = 2\n\na\nb = 2\n\n",
		"a line that only ends alike": "aa\nb = 2\n\n",
	} {
		if _, err := m.apply(text); err == nil || !strings.Contains(err.Error(), "git diff -U1 p/p.go") {
			t.Errorf("%s: %v, want an error that says how to make the patch anew", name, err)
		}
	}
}

func TestParseMistakeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no words":  strings.Replace(header, "Mistake", "", 1) + "@@\n-a\n",
		"no test":   strings.Replace(header, " TestB", "", 1) + "@@\n-a\n",
		"no change": header,
		"two files": header + "@@\n-a\n--- a/q.go\n+++ b/q.go\n@@\n-a\n",
	} {
		if _, err := parseMistake("x", text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestJudge: only a test that ran and failed by itself has caught a mistake.
func TestJudge(t *testing.T) {
	failed := "=== RUN   TestB\n    p_test.go:5: log level=INFO\n    p_test.go:7: b = 3, want 2\n    p_test.go:5: bye level=INFO\n--- FAIL: TestB (0.00s)\nFAIL\n"
	if why, err := judge("TestB", overlay.Result{Output: failed}); err != nil || why != "p_test.go:7: b = 3, want 2" {
		t.Errorf("a test that fails: %q, %v", why, err)
	}
	for name, r := range map[string]overlay.Result{
		"passes":     {Passed: true, Output: "--- PASS: TestB (0.00s)\nPASS\n"},
		"is missing": {Passed: true, Output: "testing: warning: no tests to run\nPASS\n"},
		"another":    {Output: "--- FAIL: TestBee (0.00s)\nFAIL\n"},
		"panics":     {Output: "--- FAIL: TestB (0.00s)\npanic: no\n"},
		"hangs":      {TimedOut: true, Output: failed},
	} {
		if _, err := judge("TestB", r); err == nil {
			t.Errorf("a test that %s: no error", name)
		}
	}
}

func TestPartsHoldEachMistakeOnce(t *testing.T) {
	all := []mistake{{name: "a"}, {name: "b"}, {name: "c"}, {name: "d"}, {name: "e"}}
	seen := map[string]int{}
	for _, part := range []string{"1/3", "2/3", "3/3"} {
		chosen, err := choose(all, "", part)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range chosen {
			seen[m.name]++
		}
	}
	for _, m := range all {
		if seen[m.name] != 1 {
			t.Errorf("%s is in %d parts", m.name, seen[m.name])
		}
	}
	for _, bad := range []string{"0/3", "4/3", "x"} {
		if _, err := choose(all, "", bad); err == nil {
			t.Errorf("--part %s: no error", bad)
		}
	}
}
