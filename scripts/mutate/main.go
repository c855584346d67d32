// Command mutate changes the product in small ways, one at a time, and counts how
// many of the changes some test notices:
//
//	go run ./scripts/mutate [--count 400] [--seed N] [--only PACKAGE] [--minutes 90]
//
// A mutant negates a condition, moves a boundary, returns early, deletes a
// statement, and so on. It is compiled by `go test -c -overlay` and put before the
// tests of its package; the working tree is not touched. One that survives shows
// something that no test looks at: write the test, or list it in survivors.txt
// with the reason why nobody need notice. Under 90 % caught the run fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"

	"weir/scripts/command"
	"weir/scripts/overlay"
)

// leastCaught is the percentage of mutants that tests must catch.
const leastCaught = 90

type options struct {
	count   int
	seed    uint64
	only    string
	minutes int
	limit   time.Duration
}

func main() {
	command.Main("mutate", run)
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.IntVar(&o.count, "count", 400, "how many mutants to draw, the same number from each package")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()/86400), "chooses the mutants; by default the day")
	flags.StringVar(&o.only, "only", "", "mutate the packages that match this regular expression")
	flags.IntVar(&o.minutes, "minutes", 90, "stop drawing after so long")
	flags.DurationVar(&o.limit, "limit", 0, "how long the tests of a package may take; 0 measures that on the product and takes three times as much")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := overlay.Root(ctx)
	if err != nil {
		return err
	}
	m := &mutation{options: o, root: root, files: os.DirFS(root), normal: map[suite]time.Duration{}, ends: time.Now().Add(time.Duration(o.minutes) * time.Minute)}
	if err := m.prepare(); err != nil {
		return err
	}
	fmt.Printf("seed %d\n", o.seed)
	if err := m.drawAll(ctx); err != nil {
		return err
	}
	return m.report()
}

// mutation is one run of the program.
type mutation struct {
	options
	root   string
	files  fs.FS
	ends   time.Time
	listed map[string]string       // reasons of survivors
	normal map[suite]time.Duration // how long the tests take on the product
	rows   []*row
	found  []site // survivors that are not listed
}

// row is a line of the table: what became of the mutants of one package.
type row struct {
	target
	sites                              []site // not drawn yet
	caught, survived, listed, rejected int
}

// prepare finds all mutants of the chosen packages.
func (m *mutation) prepare() error {
	only, err := regexp.Compile(m.only)
	if err != nil {
		return err
	}
	if m.listed, err = readSurvivors(m.files); err != nil {
		return err
	}
	var all [][]site
	for _, t := range targets() {
		sites, err := sitesOf(m.files, t, m.seed)
		if err != nil {
			return err
		}
		all = append(all, sites)
		if only.MatchString(t.dir) {
			m.rows = append(m.rows, &row{target: t, sites: sites})
		}
	}
	for _, name := range stale(m.listed, all) {
		fmt.Printf("%s lists what is no more: %s\n", survivors, name)
	}
	if len(m.rows) == 0 {
		return fmt.Errorf("no package matches %q", m.only)
	}
	return nil
}

// drawAll judges mutants of one package after the other until there are enough of
// them or time is up.
func (m *mutation) drawAll(ctx context.Context) error {
	for drawn := 0; drawn < m.count; {
		left := false
		for _, r := range m.rows {
			if drawn == m.count || len(r.sites) == 0 {
				continue
			}
			if time.Now().After(m.ends) {
				fmt.Printf("%d minutes are over after %d mutants\n", m.minutes, drawn)
				return nil
			}
			left = true
			if err := m.drawOne(ctx, r); err != nil {
				return err
			}
			drawn++
		}
		if !left {
			return nil
		}
	}
	return nil
}

// drawOne judges the next mutant of a package that compiles.
func (m *mutation) drawOne(ctx context.Context, r *row) error {
	for len(r.sites) > 0 {
		s := r.sites[0]
		r.sites = r.sites[1:]
		began := time.Now()
		by, err := m.judge(ctx, r.target, s)
		if _, refused := errors.AsType[*overlay.CompileError](err); refused {
			r.rejected++
			continue
		}
		if err != nil {
			return err
		}
		what := "caught  "
		switch reason, listed := m.listed[s.name()]; {
		case by != "":
			r.caught++
		case listed:
			what, by = "listed  ", reason
			r.listed++
		default:
			what = "SURVIVED"
			r.survived++
			m.found = append(m.found, s)
		}
		fmt.Printf("%s %4.0fs  %s:%d %s: %s `%s`  %s\n", what, time.Since(began).Seconds(), s.file, s.line, s.function, s.operator, s.code, by)
		return nil
	}
	return nil
}

// report prints the table, and the survivors as lines for the list of them.
func (m *mutation) report() error {
	fmt.Printf("\n%-16s %8s %8s %8s %12s\n", "package", "caught", "survived", "listed", "not compiled")
	caught, survived := 0, 0
	for _, r := range m.rows {
		fmt.Printf("%-16s %8d %8d %8d %12d\n", r.dir, r.caught, r.survived, r.listed, r.rejected)
		caught, survived = caught+r.caught, survived+r.survived
	}
	for _, s := range m.found {
		fmt.Printf("%s:\n", s.name())
	}
	if caught+survived == 0 {
		return errors.New("no mutant was judged")
	}
	share := 100 * float64(caught) / float64(caught+survived)
	fmt.Printf("%.1f %% of %d mutants were caught, seed %d\n", share, caught+survived, m.seed)
	if share < leastCaught {
		return fmt.Errorf("%.1f %% is less than %d %%", share, leastCaught)
	}
	return nil
}
