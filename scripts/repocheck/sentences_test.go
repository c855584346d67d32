package repocheck

import (
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// sentencesDoc has a row for each sentence of the published documents.
const sentencesDoc = "schemas/openapi/documents.md"

// sentence is one row of that page: `| I-1 | sentence | tests | how |`.
type sentence struct {
	letter           string // of its document
	number           int
	text, tests, how string
}

var (
	sentenceRow = regexp.MustCompile(`^\| ([IUER])-([0-9]+) \| (.+) \| (.+) \| (.+) \|$`)
	countsRow   = regexp.MustCompile(`^\| .+ \| ([IUER])-1 to ([IUER])-([0-9]+) \| ([0-9]+) \| ([0-9]+) \| ([0-9]+) \|$`)
	citedGolden = regexp.MustCompile("^`([a-z_-]+\\.txtar)` \"([^\"]+)\"$")
	citedTest   = regexp.MustCompile("^`((?:Test|Fuzz)[A-Z]\\w*)`$")
	verdict     = regexp.MustCompile(`^(as documented$|choice: .|absent: .)`)
)

// TestSentencesHaveTests holds the page of sentences to the tests it cites: each
// row cites a Go test or a request of a golden, and all that it cites exist.
func TestSentencesHaveTests(t *testing.T) {
	tests, goldens := testNames(t), playedGoldens(t)
	seen := map[string]string{}
	for _, s := range sentences(t) {
		id := fmt.Sprintf("%s-%d", s.letter, s.number)
		if !verdict.MatchString(s.how) {
			t.Errorf("%s: %q is none of \"as documented\", \"choice: reason\", \"absent: nearest way\"", id, s.how)
		}
		if other, twice := seen[s.letter+s.text]; twice {
			t.Errorf("%s: is the sentence of %s", id, other)
		}
		seen[s.letter+s.text] = id
		for _, cited := range splitCitations(s.tests) {
			if problem := missingTest(cited, tests, goldens); problem != "" {
				t.Errorf("%s: %s", id, problem)
			}
		}
	}
}

// splitCitations splits `TestA`, `x.txtar` "a, b" at the commas between tests.
func splitCitations(cell string) []string {
	return strings.Split(regexp.MustCompile("([`\"]), `").ReplaceAllString(cell, "$1\n`"), "\n")
}

// missingTest says why a citation names no test; "" if it names one.
func missingTest(cited string, tests map[string]bool, goldens map[string][]string) string {
	if m := citedTest.FindStringSubmatch(cited); m != nil {
		if !tests[m[1]] {
			return "there is no test " + m[1]
		}
		return ""
	}
	m := citedGolden.FindStringSubmatch(cited)
	if m == nil {
		return cited + " is neither `TestName` nor `file.txtar` \"request\""
	}
	sections, there := goldens[m[1]]
	switch {
	case !there:
		return "no test plays a golden " + m[1]
	case !slices.Contains(sections, m[2]):
		return fmt.Sprintf("%s has no request %q", m[1], m[2])
	}
	return ""
}

// TestSentencesAreCounted holds the numbers of rows to what the head of the page
// says, and rows to be numbered from 1 without a gap.
func TestSentencesAreCounted(t *testing.T) {
	type count struct{ last, documented, choice, absent int }
	got := map[string]count{}
	for _, s := range sentences(t) {
		c := got[s.letter]
		if s.number != c.last+1 {
			t.Errorf("%s-%d follows %s-%d", s.letter, s.number, s.letter, c.last)
		}
		c.last = s.number
		switch kind, _, _ := strings.Cut(s.how, ":"); kind {
		case "choice":
			c.choice++
		case "absent":
			c.absent++
		default:
			c.documented++
		}
		got[s.letter] = c
	}
	want := map[string]count{}
	for line := range strings.Lines(docs(t)[sentencesDoc]) {
		if m := countsRow.FindStringSubmatch(strings.TrimSpace(line)); m != nil && m[1] == m[2] {
			want[m[1]] = count{atoi(t, m[3]), atoi(t, m[4]), atoi(t, m[5]), atoi(t, m[6])}
		}
	}
	for _, letter := range []string{"I", "U", "E", "R"} {
		if got[letter] != want[letter] {
			t.Errorf("%s: the rows are {last, as documented, choice, absent} %v, the head says %v", letter, got[letter], want[letter])
		}
	}
}

// sentences returns the rows of the page in their order. Every line of its
// tables of sentences must be one.
func sentences(t *testing.T) []sentence {
	t.Helper()
	var out []sentence
	for line := range strings.Lines(docs(t)[sentencesDoc]) {
		line = strings.TrimSpace(line)
		m := sentenceRow.FindStringSubmatch(line)
		if m != nil {
			out = append(out, sentence{letter: m[1], number: atoi(t, m[2]), text: m[3], tests: m[4], how: m[5]})
		} else if regexp.MustCompile(`^\| *[A-Z]-[0-9]`).MatchString(line) {
			t.Errorf("%s: not a row of four cells: %s", sentencesDoc, line)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no rows", sentencesDoc)
	}
	return out
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// playedGoldens returns, by file name, the requests of each txtar file that some
// test of its package globs: its sections, also without the word "request". A
// name that two files have is left out.
func playedGoldens(t *testing.T) map[string][]string {
	t.Helper()
	var patterns []string
	for _, f := range sources(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && f.test && strings.HasPrefix(lit.Value, `"testdata/`) {
				patterns = append(patterns, path.Join(f.dir, strings.Trim(lit.Value, `"`)))
			}
			return true
		})
	}
	found, copies := map[string][]string{}, map[string]int{}
	for _, p := range allFiles(t) {
		if !slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, p) }) {
			continue
		}
		text, err := fs.ReadFile(os.DirFS(root), p)
		if err != nil {
			t.Fatal(err)
		}
		copies[path.Base(p)]++
		for _, section := range txtar.Parse(text).Files {
			found[path.Base(p)] = append(found[path.Base(p)], section.Name, strings.TrimPrefix(section.Name, "request "))
		}
	}
	for name, n := range copies {
		if n > 1 {
			delete(found, name)
		}
	}
	return found
}
