// Command slow reads what `go test -json` prints and lists the slowest tests
// and packages:
//
//	go test -json ./... | go run ./scripts/slow [-n 20]
//
// Only top-level tests are listed; each includes its subtests. It exits 1 if a
// test or a build failed, and names it.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	n := flag.Int("n", 20, "how many tests to list")
	flag.Parse()
	r, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(r.format(*n))
	if len(r.failed) > 0 {
		os.Exit(1)
	}
}

// event is one line of `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build
	Test       string
	Elapsed    float64 // seconds
}

// timing is how long a test took, or all tests of a package.
type timing struct {
	seconds float64
	name    string
}

type result struct {
	tests, packages []timing
	failed          []string
}

// read takes all events of a run. Lines that are no events, such as those of
// the linker, are passed over.
func read(in io.Reader) (result, error) {
	var r result
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			r.add(e)
		}
	}
	return r, lines.Err()
}

func (r *result) add(e event) {
	name := strings.TrimSpace(e.Package + " " + e.Test)
	switch e.Action {
	case "build-fail":
		r.failed = append(r.failed, "build of "+e.ImportPath)
	case "fail":
		r.failed = append(r.failed, name)
	case "pass":
	default:
		return
	}
	switch {
	case e.Test == "":
		r.packages = append(r.packages, timing{e.Elapsed, name})
	case !strings.Contains(e.Test, "/"):
		r.tests = append(r.tests, timing{e.Elapsed, name})
	}
}

// format lists the n slowest tests, the slowest packages, and what failed.
func (r *result) format(n int) string {
	lines := []string{fmt.Sprintf("the slowest of %d tests", len(r.tests))}
	lines = append(lines, slowest(r.tests, n)...)
	lines = append(lines, fmt.Sprintf("the slowest of %d packages", len(r.packages)))
	lines = append(lines, slowest(r.packages, 5)...)
	for _, name := range r.failed {
		lines = append(lines, "FAILED "+name)
	}
	return strings.Join(lines, "\n") + "\n"
}

func slowest(timings []timing, n int) []string {
	slices.SortFunc(timings, func(a, b timing) int {
		return cmp.Or(cmp.Compare(b.seconds, a.seconds), cmp.Compare(a.name, b.name))
	})
	var lines []string
	for _, t := range timings[:min(n, len(timings))] {
		lines = append(lines, fmt.Sprintf("%8.2fs  %s", t.seconds, t.name))
	}
	return lines
}
