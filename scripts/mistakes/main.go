// Command mistakes plants known mistakes into the product, one at a time, and
// requires for each that the test which is there for it fails:
//
//	go run ./scripts/mistakes [--only REGEXP] [--part 2/5] [--list]
//
// A mistake is a patch in testdata/mistakes, applied to a copy of the file by
// `go test -overlay`; the working tree is not touched. A mistake that its test
// does not notice, that no longer applies, or that does not compile fails the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/scripts/command"
	"weir/scripts/overlay"
)

// testLimit is how long a test may take that is to fail.
const testLimit = 3 * time.Minute

func main() {
	command.Main("mistakes", run)
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mistakes", flag.ContinueOnError)
	only := flags.String("only", "", "plant the mistakes whose name matches this regular expression")
	part := flags.String("part", "1/1", "2/5 plants the second fifth of the mistakes")
	list := flags.Bool("list", false, "list the mistakes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := overlay.Root(ctx)
	if err != nil {
		return err
	}
	all, err := readMistakes(os.DirFS(root))
	if err != nil {
		return err
	}
	chosen, err := choose(all, *only, *part)
	if err != nil {
		return err
	}
	if *list {
		for _, m := range chosen {
			fmt.Printf("%-40s %s %s\n%40s %s\n", m.name, m.pkg, m.test, "", m.words)
		}
		return nil
	}
	return plantAll(ctx, root, chosen)
}

// choose returns the mistakes that --only and --part name.
func choose(all []mistake, only, part string) ([]mistake, error) {
	name, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	var k, n int
	if read, err := fmt.Sscanf(part, "%d/%d", &k, &n); read != 2 || err != nil || k < 1 || k > n {
		return nil, fmt.Errorf("--part %q is not like 2/5", part)
	}
	var chosen []mistake
	for i, m := range all {
		if name.MatchString(m.name) && i%n == k-1 {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no mistake has such a name; --list names them")
	}
	return chosen, nil
}

// plantAll plants one mistake after the other and says what came of each.
func plantAll(ctx context.Context, root string, chosen []mistake) error {
	missed := 0
	for _, m := range chosen {
		began := time.Now()
		why, err := m.plant(ctx, root)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			missed++
			fmt.Printf("MISSED %s (%s): %s\n", m.name, m.words, err)
			continue
		}
		fmt.Printf("caught %-40s %3.0fs  %s: %s\n", m.name, time.Since(began).Seconds(), m.test, why)
	}
	fmt.Printf("%d of %d mistakes were caught\n", len(chosen)-missed, len(chosen))
	if missed > 0 {
		return fmt.Errorf("%d mistakes were not caught", missed)
	}
	return nil
}

// plant runs the test of m on the product with the mistake, and returns what the
// test complained of.
func (m mistake) plant(ctx context.Context, root string) (why string, err error) {
	text, err := fs.ReadFile(os.DirFS(root), m.file)
	if err != nil {
		return "", err
	}
	wrong, err := m.apply(string(text))
	if err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp("", "mistake-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	tests, err := overlay.Build(ctx, root, scratch, m.pkg, map[string]string{m.file: wrong})
	if err != nil {
		if _, refused := errors.AsType[*overlay.CompileError](err); refused {
			return "", fmt.Errorf("%w%s", err, m.anew())
		}
		return "", err
	}
	r, err := tests.Run(ctx, testLimit, "-test.v", "-test.run", "^"+m.test+"$")
	if err != nil {
		return "", err
	}
	return judge(m.test, r)
}

// complaint is a line in which a test says what is wrong, or logs.
var complaint = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: .*`)

// productLog is in such a line if it is a log line of the product.
const productLog = " level="

// judge returns what the test complained of. The test must have run and failed by
// itself: a test that is missing, or a process that ends by a panic, shows
// nothing of what the test looks for.
func judge(test string, r overlay.Result) (why string, err error) {
	switch {
	case r.TimedOut:
		return "", fmt.Errorf("%s did not end within %s", test, testLimit)
	case strings.Contains(r.Output, "\npanic: "), strings.Contains(r.Output, "\nfatal error: "):
		return "", fmt.Errorf("%s panicked instead of failing:\n%s", test, r.Output)
	case r.Passed && strings.Contains(r.Output, "--- PASS: "+test+" ("):
		return "", fmt.Errorf("%s passes all the same", test)
	case !strings.Contains(r.Output, "--- FAIL: "+test+" ("):
		return "", fmt.Errorf("%s did not run:\n%s", test, r.Output)
	}
	return strings.TrimSpace(lastComplaint(r.Output)), nil
}

// lastComplaint returns the last line that the test has written.
func lastComplaint(output string) string {
	lines := slices.DeleteFunc(complaint.FindAllString(output, -1), func(line string) bool { return strings.Contains(line, productLog) })
	if len(lines) == 0 {
		return "failed"
	}
	return lines[len(lines)-1]
}
