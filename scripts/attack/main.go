// Command attack starts a `weir all` of its own on loopback, attacks it in
// bounded ways, and measures what a neighbour, another account on the same
// server, notices: its ingest, reports, logins and downloads before, during and
// after each attack. It prints a table, and exits 1 if an attack ended the
// process, cost the neighbour an answer, or left something behind.
//
// Each attack runs in a process of its own with a low priority, so that what it
// uses itself disturbs the measurement little. It shares no code with Weir.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/scripts/command"
)

// options are the flags.
type options struct {
	weir     string
	only     string
	part     string
	seconds  int
	rate     int
	together bool
	list     bool
	keep     bool
	args     string

	child string // attack to run, in a process that this program started
	world string // file with the world of that attack
}

func main() {
	command.Main("attack", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var o options
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	flags.StringVar(&o.weir, "weir", "bin/weir", "binary to attack")
	flags.StringVar(&o.only, "only", "", "run the attacks whose name matches this regular expression")
	flags.StringVar(&o.part, "part", "1/1", "2/5 runs the second fifth of the attacks")
	flags.IntVar(&o.seconds, "seconds", 8, "how long each attack lasts, up to 120")
	flags.IntVar(&o.rate, "rate", 2000, "events a second that the neighbour sends, up to 20000")
	flags.BoolVar(&o.together, "together", false, "run all attacks at once")
	flags.BoolVar(&o.list, "list", false, "list the attacks")
	flags.BoolVar(&o.keep, "keep", false, "keep the data folder and the server's log, and print where they are")
	flags.StringVar(&o.args, "args", "", "settings for the server, separated by spaces, as in: --query.max-scans=4")
	flags.StringVar(&o.child, "child", "", "for this program's own use")
	flags.StringVar(&o.world, "world", "", "for this program's own use")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.seconds < 1 || o.seconds > 120 || o.rate < 100 || o.rate > 20_000 {
		return errors.New("--seconds is 1 to 120 and --rate 100 to 20000")
	}
	if o.child != "" {
		return runChild(ctx, o, stdout)
	}
	chosen, err := choose(o)
	if err != nil {
		return err
	}
	if o.list {
		return list(stdout, chosen)
	}
	return runAll(ctx, o, chosen, stdout)
}

// choose returns the attacks that --only and --part name.
func choose(o options) ([]attack, error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, err
	}
	var part, parts int
	if n, err := fmt.Sscanf(o.part, "%d/%d", &part, &parts); n != 2 || err != nil || part < 1 || part > parts {
		return nil, fmt.Errorf("--part %q is not like 2/5", o.part)
	}
	var chosen []attack
	for i, a := range attacks() {
		if only.MatchString(a.name) && i%parts == part-1 {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no attack has such a name; --list names them")
	}
	return chosen, nil
}

func list(w io.Writer, chosen []attack) error {
	for _, a := range chosen {
		if _, err := fmt.Fprintf(w, "%-34s %-13s %s\n", a.name, a.who, a.what); err != nil {
			return err
		}
	}
	return nil
}

// attacks lists all attacks in the order of the table. Each area has a file.
func attacks() []attack {
	return slices.Concat(
		floodAttacks(), connectionsAttacks(), memoryAttacks(), questionsAttacks(), placesAttacks(),
		loginsAttacks(), cardinalityAttacks(), embeddedAttacks(),
	)
}

// runAll runs the attacks one after the other on one server, or all at once.
func runAll(ctx context.Context, o options, chosen []attack, stdout io.Writer) (err error) {
	w, stop, err := newWorld(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if o.together {
		chosen = []attack{together(chosen)}
	}
	var failed []string
	table := table{out: stdout}
	for _, a := range chosen {
		row, err := measure(ctx, w, a, o)
		if err != nil {
			row.problem = err
		}
		table.print(row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if row.failed() {
			failed = append(failed, a.name)
		}
		if !w.server.alive() {
			return fmt.Errorf("%s: the server ended:\n%s", a.name, w.server.lastLog())
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("attacks that reached the neighbour: %s", strings.Join(failed, ", "))
	}
	table.printf("held: %d of %d attacks, none reached the neighbour\n", len(chosen), len(chosen))
	return nil
}

// together is one attack that starts all others at once.
func together(all []attack) attack {
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.name
	}
	return attack{name: "all at once", who: "all of them", what: strings.Join(names, ", "), together: all}
}

// settleLimit is how long the server may take after an attack until all is as
// before.
const settleLimit = 60 * time.Second
