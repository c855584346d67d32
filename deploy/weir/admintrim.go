package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"

	"weir/processor"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/topic"
)

const helpTrim = `usage: weir admin trim [--data DIR] [--dry-run] [--json] [--SETTING VALUE]...

Deletes from the log what every table of the lake holds, and prints it by shard.
All offsets are those of the log itself: "start" is where the log of a shard
begins, "end" where it ends, "committed" the smallest offset that some table still
needs. The last record before "committed" is kept, by which the next start sees
that it is the same log; everything before it is deleted. A shard whose log is not
the one that the lake was filled from is left alone, and the exit code is 1.

weir all does this by itself. Safe while servers run.

  --dry-run   prints and deletes nothing
  --json      for scripts
`

// trimmedShard is what trim prints of a shard. Offsets are those of the log.
type trimmedShard struct {
	Shard     int32  `json:"shard"`
	Start     int64  `json:"start"`
	Committed int64  `json:"committed"`
	End       int64  `json:"end"`
	Below     int64  `json:"delete_below"` // records below it are deleted
	Records   int64  `json:"records"`      // offsets that are deleted
	Why       string `json:"why,omitempty"`
}

// runTrim prints what of the log may be deleted, and deletes it.
func runTrim(ctx context.Context, p *process, args []string) error {
	var opts struct {
		JSON   bool `key:"json"`
		DryRun bool `key:"dry_run"`
	}
	cfg, err := p.loadFlags(args, &opts)
	if err != nil {
		return err
	}
	cfg.Log.Level = "warn" // info lines would mix with the table
	log := p.logger(cfg.Log)
	return withLake(ctx, cfg, log, func(cfg Config, reg *registry.Registry, store storage) error {
		shards, err := trimLog(ctx, cfg, reg, store, opts.DryRun, log)
		if err != nil {
			return err
		}
		return printTrimmed(p.stdout, shards, opts.JSON)
	})
}

// trimLog finds what may be deleted, and deletes it unless dryRun is set. It deletes
// nothing below an offset that is merely planned: the offsets come from committed
// snapshots of the lake.
func trimLog(ctx context.Context, cfg Config, reg *registry.Registry, store storage, dryRun bool, log *slog.Logger) ([]trimmedShard, error) {
	client, err := kafkaClient(cfg.Kafka, log)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	layout, err := topic.Recorded(ctx, reg)
	if err != nil || layout == (topic.Layout{}) {
		return nil, err
	}
	t := trimmer{lake: store.lake, layout: layout, admin: kadm.NewClient(client)}
	shards, err := t.plan(ctx)
	if err != nil || dryRun {
		return shards, err
	}
	return shards, t.delete(ctx, shards)
}

// trimmer finds and deletes what the log need not keep.
type trimmer struct {
	lake   *lake.Lake
	layout topic.Layout
	admin  *kadm.Client
}

// plan returns what may be deleted of each shard. The lake is read before the log.
func (t trimmer) plan(ctx context.Context) ([]trimmedShard, error) {
	events, err := t.lake.Load(ctx, lake.Events)
	if err != nil {
		return nil, fmt.Errorf("load events: %w", err)
	}
	committed, err := processor.CommittedOffsets(ctx, t.lake)
	if err != nil {
		return nil, fmt.Errorf("read committed offsets: %w", err)
	}
	topics, err := t.admin.ListTopics(ctx, t.layout.Topic)
	if err != nil {
		return nil, fmt.Errorf("describe topic %s: %w", t.layout.Topic, err)
	}
	starts, err := t.admin.ListStartOffsets(ctx, t.layout.Topic)
	if err != nil {
		return nil, fmt.Errorf("read start offsets of %s: %w", t.layout.Topic, err)
	}
	ends, err := t.admin.ListEndOffsets(ctx, t.layout.Topic)
	if err != nil {
		return nil, fmt.Errorf("read end offsets of %s: %w", t.layout.Topic, err)
	}
	var shards []trimmedShard
	for shard := range int32(t.layout.Shards) {
		start, _ := starts.Lookup(t.layout.Topic, shard)
		end, known := ends.Lookup(t.layout.Topic, shard)
		if !known || start.Err != nil || end.Err != nil {
			return nil, fmt.Errorf("offsets of shard %d are not known: %w", shard, cmp.Or(start.Err, end.Err, errors.New("no answer")))
		}
		s := trimmedShard{Shard: shard, Start: start.Offset, Committed: committed[shard], End: end.Offset, Below: start.Offset}
		s.decide(topics[t.layout.Topic].ID.String(), events.ShardStates()[shard].Position.TopicID)
		shards = append(shards, s)
	}
	return shards, nil
}

// decide sets what may be deleted. topicID is that of the log, filledFrom the one that
// the lake was filled from, "" if it was filled from none yet.
func (s *trimmedShard) decide(topicID, filledFrom string) {
	switch {
	case filledFrom == "":
		s.Why = "some table has nothing of this shard yet"
	case filledFrom != topicID:
		s.Why = fmt.Sprintf("the lake was filled from another log (%s, not %s)", filledFrom, topicID)
	case s.Committed > s.End:
		s.Why = "the log ends before what is committed"
	case s.Committed-1 > s.Start:
		s.Below, s.Records = s.Committed-1, s.Committed-1-s.Start
	}
}

// delete deletes what plan has found.
func (t trimmer) delete(ctx context.Context, shards []trimmedShard) error {
	below := kadm.Offsets{}
	for _, s := range shards {
		if s.Records > 0 {
			below.AddOffset(t.layout.Topic, s.Shard, s.Below, -1)
		}
	}
	if len(below) == 0 {
		return nil
	}
	done, err := t.admin.DeleteRecords(ctx, below)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("delete records of %s: %w", t.layout.Topic, err)
	}
	return nil
}

// printTrimmed prints the shards, and fails when one of them is of another log.
func printTrimmed(w io.Writer, shards []trimmedShard, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(w).Encode(map[string][]trimmedShard{"shards": shards}); err != nil {
			return err
		}
	} else {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight) // errors are returned by Flush
		_, _ = fmt.Fprintln(t, "shard\tstart\tcommitted\tend\tdelete below\trecords\t  note")
		for _, s := range shards {
			_, _ = fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t  %s\n", s.Shard, s.Start, s.Committed, s.End, s.Below, s.Records, s.Why)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, s := range shards {
		if s.Why != "" && s.Committed > 0 {
			return fmt.Errorf("shard %d is left alone: %s", s.Shard, s.Why)
		}
	}
	return nil
}
