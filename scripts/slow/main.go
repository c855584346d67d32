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
	r.print(os.Stdout, *n)
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

func (r *result) print(out io.Writer, n int) {
	fmt.Fprintf(out, "the slowest of %d tests\n", len(r.tests))
	printSlowest(out, r.tests, n)
	fmt.Fprintf(out, "the slowest of %d packages\n", len(r.packages))
	printSlowest(out, r.packages, 5)
	for _, name := range r.failed {
		fmt.Fprintln(out, "FAILED", name)
	}
}

func printSlowest(out io.Writer, timings []timing, n int) {
	slices.SortFunc(timings, func(a, b timing) int {
		return cmp.Or(cmp.Compare(b.seconds, a.seconds), cmp.Compare(a.name, b.name))
	})
	for _, t := range timings[:min(n, len(timings))] {
		fmt.Fprintf(out, "%8.2fs  %s\n", t.seconds, t.name)
	}
}
