// Command loadgen makes believable usage events, counts them, and can send
// them. It shares no code with Weir, so that its counts are independent of
// Weir's.
//
// As a generator it writes NDJSON, one item of data[] of POST /v1/event/report
// a line; the same flags give the same bytes in every version:
//
//	loadgen --events 60000 --clients 900 --days 90 --out events.ndjson --expected expected.json
//
// As a load it sends batches to an Ingestion API on this machine for a while and prints
// what was acknowledged and how long that took; the secret comes from
// WEIR_SECRET:
//
//	loadgen --url http://127.0.0.1:8080 --key KEY --rate 100000 --duration 30s
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"weir/scripts/command"
)

func main() {
	command.Main("loadgen", func(ctx context.Context, args []string) error { return run(ctx, args, os.Stdout) })
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var plan Plan
	var load Load
	var out, expected, product, start string
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.IntVar(&plan.Events, "events", 10_000, "events to make, without the repeated ones")
	flags.IntVar(&plan.Clients, "clients", 200, "clients that have them")
	flags.IntVar(&plan.Days, "days", 30, "days they are spread over")
	flags.Uint64Var(&plan.Seed, "seed", 1, "another seed makes other events")
	flags.Float64Var(&plan.Duplicates, "duplicates", 0, "share of events that are sent twice, 0 to 1")
	flags.StringVar(&start, "start", "2023-01-01", `first day (UTC), or "today": the last day is then yesterday`)
	flags.StringVar(&product, "product", "1001", "product of the figures; other products have other clients")
	flags.StringVar(&out, "out", "-", "file for the events, - is standard output")
	flags.StringVar(&expected, "expected", "", "file for the figures that the events add up to")
	flags.StringVar(&load.URL, "url", "", "Ingestion API on this machine to send to instead; the flags above are ignored then")
	flags.StringVar(&load.Key, "key", "", "API key of the data source")
	flags.IntVar(&load.Rate, "rate", 0, "events a second, 0 is as fast as it goes")
	flags.DurationVar(&load.Duration, "duration", 10*time.Second, "how long, up to an hour")
	flags.IntVar(&load.Batch, "batch", 100, "events in a request, up to 1000")
	flags.IntVar(&load.Connections, "connections", 64, "connections, up to 512; a data source may have 64 requests in flight")
	flags.IntVar(&load.Clients, "load-clients", 10_000, "clients the load is spread over")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if load.URL != "" {
		load.Secret = os.Getenv("WEIR_SECRET")
		report, err := load.Run(ctx)
		if err != nil {
			return err
		}
		return report.print(stdout)
	}
	plan.Stream = product
	var err error
	if plan.Start, err = firstDay(start, plan.Days); err != nil {
		return err
	}
	return generate(plan, out, expected, stdout)
}

func firstDay(start string, days int) (time.Time, error) {
	if start == "today" {
		return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -days), nil
	}
	day, err := time.Parse(time.DateOnly, start)
	if err != nil {
		return time.Time{}, fmt.Errorf("--start %q is not like 2023-01-01: %w", start, err)
	}
	return day, nil
}

// generate writes the events of a plan and, if asked, their figures.
func generate(plan Plan, out, expected string, stdout io.Writer) (err error) {
	to := stdout
	if out != "-" {
		file, err := os.Create(out) //nolint:gosec // the path is what the user asked for
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		to = file
	}
	buffered := bufio.NewWriterSize(to, 1<<20)
	counts := NewCounts()
	for line, err := range plan.Lines() {
		if err != nil {
			return err
		}
		if _, err := buffered.Write(line); err != nil {
			return err
		}
		if expected == "" {
			continue
		}
		if err := counts.Add(line); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if expected == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]Expectation{plan.Stream: counts.Expectation()}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(expected, append(text, '\n'), 0o600)
}
