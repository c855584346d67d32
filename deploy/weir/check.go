package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"text/tabwriter"

	"github.com/twmb/franz-go/pkg/kadm"

	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/topic"
)

const helpCheck = `usage: weir check [--data DIR] [--json] [--deep] [--SETTING VALUE]...

Prints, for every shard, whether each offset of the log is accounted for in the
lake: committed − first = stored + duplicates + dead + control + lost + holes.
in_flight is what the log has and the lake does not have yet. A hole is a record
that is missing between others in the log: it is accounted for once an operator
has accepted it (weir admin accept-holes). All offsets are those of the lake;
weir admin trim --dry-run prints those of the log.

Works while a server runs, on a stopped folder (then it starts the embedded
parts itself), and on a cluster (--database.url, --kafka.brokers,
--s3.endpoint …).

  --json   for scripts
  --deep   read the data files: every stored offset must be there once, as an
           event or as a change of a client, rows = stored − erased, and every
           column of every rollup must be what the events give

Exit code 0: the balance closes. 1: it does not, or could not be checked.
`

// balance is what check prints. It closes when every offset of the log that was
// committed is accounted for: as a stored row, a duplicate, a dead letter, a
// control record or an accepted loss. schemas/DESIGN.md "Promises".
type balance struct {
	Closes bool           `json:"closes"`
	Shards []shardBalance `json:"shards"`
}

// shardBalance is the balance of one shard. The names are the ones of the JSON that
// scripts read.
type shardBalance struct {
	Shard      int32  `json:"shard"`
	First      int64  `json:"first"`     // first offset ever
	Committed  int64  `json:"committed"` // next offset that is not in the lake
	End        int64  `json:"end"`       // next offset of the log
	Stored     int64  `json:"stored"`
	Changes    int64  `json:"changes"` // how many of stored are changes of clients
	Duplicates int64  `json:"duplicates"`
	Dead       int64  `json:"dead"`
	Control    int64  `json:"control"`
	Lost       int64  `json:"lost"`
	Holes      int64  `json:"holes"`          // records that are missing between others in the log
	Accepted   int64  `json:"accepted_holes"` // how many of them an operator has accepted
	Base       int64  `json:"base"`           // offset of the lake minus offset of the log
	Erased     int64  `json:"erased"`
	InFlight   int64  `json:"in_flight"`
	Closes     bool   `json:"closes"`
	Rows       *int64 `json:"rows,omitempty"` // rows in data files; only in a deep check
	Why        string `json:"why,omitempty"`  // why it does not close
}

// addProblem records a reason why the shard does not close.
func (s *shardBalance) addProblem(format string, args ...any) {
	s.Closes = false
	if s.Why != "" {
		s.Why += "; "
	}
	s.Why += fmt.Sprintf(format, args...)
}

// runCheck prints the balance and fails when it does not close.
func runCheck(ctx context.Context, p *process, args []string) error {
	var opts struct {
		JSON bool `key:"json"`
		Deep bool `key:"deep"`
	}
	cfg, err := p.loadFlags(args, &opts)
	if err != nil {
		return err
	}
	b, err := p.readBalance(ctx, cfg, opts.Deep)
	if err != nil {
		return err
	}
	if err := b.write(p.stdout, opts.JSON); err != nil {
		return err
	}
	if !b.Closes {
		return errors.New("the balance does not close")
	}
	return nil
}

// readBalance opens registry, lake and log, and audits them.
func (p *process) readBalance(ctx context.Context, cfg Config, deep bool) (b balance, err error) {
	// Info lines of the embedded parts would mix with the table: the default level
	// is warn here.
	if cfg.Log.Level == "info" {
		cfg.Log.Level = "warn"
	}
	log := p.logger(cfg.Log)
	err = withLake(ctx, cfg, log, func(cfg Config, reg *registry.Registry, store storage) (err error) {
		b, err = audit(ctx, cfg, reg, store, deep, log)
		return err
	})
	return b, err
}

// audit audits the topic that the registry has recorded. Without a record no
// server was ever started: there are no events.
func audit(ctx context.Context, cfg Config, reg *registry.Registry, store storage, deep bool, log *slog.Logger) (balance, error) {
	recorded, err := reg.TopicLayout(ctx)
	if err != nil {
		return balance{}, err
	}
	if recorded == "" {
		return balance{Closes: true, Shards: []shardBalance{}}, nil
	}
	var layout topic.Layout
	if err := json.Unmarshal([]byte(recorded), &layout); err != nil {
		return balance{}, fmt.Errorf("read the recorded layout of the topic: %w", err)
	}
	client, err := kafkaClient(cfg.Kafka, log)
	if err != nil {
		return balance{}, err
	}
	defer client.Close()
	accepted, err := registry.AcceptedHoles(ctx, reg)
	if err != nil {
		return balance{}, err
	}
	return auditor{lake: store.lake, layout: layout, accepted: accepted, admin: kadm.NewClient(client), log: log}.audit(ctx, deep)
}

// write prints the balance as JSON or as a table.
func (b balance) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(b)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight) // errors are returned by Flush
	_, _ = fmt.Fprintln(t, "shard\tfirst\tcommitted\tend\tin flight\tstored\tchanges\tduplicates\tdead\tcontrol\tlost\tholes\terased\tcloses\t")
	for _, s := range b.Shards {
		_, _ = fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%t\t%s\n", s.Shard, s.First, s.Committed, s.End,
			s.InFlight, s.Stored, s.Changes, s.Duplicates, s.Dead, s.Control, s.Lost, s.Holes, s.Erased, s.Closes, s.Why)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "closes: %t\n", b.Closes)
	return err
}

// auditor compares the lake with the log. It reads committed state only.
type auditor struct {
	lake   *lake.Lake
	layout topic.Layout
	admin  *kadm.Client
	log    *slog.Logger

	accepted map[int32]int64 // by shard, holes that an operator has accepted
}

// audit computes the balance of every shard. It reads the lake before the log, so
// that records which arrive meanwhile count as in flight and never as missing.
func (a auditor) audit(ctx context.Context, deep bool) (balance, error) {
	events, err := a.lake.Load(ctx, lake.Events)
	if err != nil {
		return balance{}, fmt.Errorf("load events: %w", err)
	}
	starts, err := a.admin.ListStartOffsets(ctx, a.layout.Topic)
	if err != nil {
		return balance{}, fmt.Errorf("read start offsets of %s: %w", a.layout.Topic, err)
	}
	ends, err := a.admin.ListEndOffsets(ctx, a.layout.Topic)
	if err != nil {
		return balance{}, fmt.Errorf("read end offsets of %s: %w", a.layout.Topic, err)
	}
	b := balance{Closes: true}
	for shard := range int32(a.layout.Shards) {
		start, _ := starts.Lookup(a.layout.Topic, shard)
		end, known := ends.Lookup(a.layout.Topic, shard)
		if err := errors.Join(start.Err, end.Err); err != nil || !known {
			return balance{}, fmt.Errorf("offsets of shard %d are not known: %w", shard, cmp.Or(err, errors.New("no answer")))
		}
		state, started := events.ShardStates()[shard]
		if !started {
			state.First, state.Next = start.Offset, start.Offset
		}
		base := state.Position.Base // after a log was replaced, our offsets continue from those of the old log
		b.Shards = append(b.Shards, a.auditShard(shard, state, started, start.Offset+base, end.Offset+base))
	}
	if deep {
		if err := a.deep(ctx, events, b.Shards); err != nil {
			return balance{}, err
		}
	}
	for _, s := range b.Shards {
		b.Closes = b.Closes && s.Closes
	}
	return b, nil
}

// auditShard compares the committed state of a shard with start and end of its
// log. Deleted records are fine below the committed offset; a log that starts
// above it has lost events.
func (a auditor) auditShard(shard int32, state lake.ShardState, started bool, start, end int64) shardBalance {
	c := state.Counters
	s := shardBalance{
		Shard: shard, First: state.First, Committed: state.Next, End: end, InFlight: end - state.Next,
		Stored: c.Stored, Changes: c.Changes, Duplicates: c.Duplicates, Dead: c.Dead, Control: c.Control, Lost: c.Lost, Holes: c.Holes, Erased: c.Erased,
		Accepted: a.accepted[shard], Base: state.Position.Base,
		Closes: true,
	}
	if moved := state.Next - state.First; c.Sum() != moved {
		s.addProblem("%d offsets are committed and %d accounted for", moved, c.Sum())
	}
	if c.Holes > s.Accepted {
		s.addProblem("%d records are missing between others in the log, %d of them accepted: find out who deletes records, "+
			"then weir admin accept-holes --shard %d --count %d", c.Holes, s.Accepted, shard, c.Holes)
	}
	if !started {
		return s
	}
	if s.InFlight < 0 {
		s.addProblem("the log ends before what is committed")
	}
	if start > state.Next {
		s.addProblem("the log begins at %d, after what is committed", start)
	}
	if id := state.Position.TopicID; id != "" && id != a.layout.TopicID {
		s.addProblem("committed offsets are of another log (%s, not %s)", id, a.layout.TopicID)
	}
	return s
}

// serveBalance serves GET /check on the admin address; ?deep=1 reads data files.
func (a *app) serveBalance(w http.ResponseWriter, r *http.Request) {
	client, err := a.kafka()
	if err == nil {
		defer client.Close()
		var accepted map[int32]int64
		if accepted, err = registry.AcceptedHoles(r.Context(), a.registry); err != nil {
			a.log.ErrorContext(r.Context(), "check failed, /check answered 500", "err", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		var b balance
		b, err = auditor{lake: a.lake, layout: a.layout, accepted: accepted, admin: kadm.NewClient(client), log: a.log}.audit(r.Context(), r.FormValue("deep") == "1")
		if err == nil {
			w.Header().Set("Content-Type", "application/json")
			if !b.Closes {
				w.WriteHeader(http.StatusConflict)
			}
			_ = b.write(w, true) // fails only when the client has disconnected
			return
		}
	}
	a.log.ErrorContext(r.Context(), "check failed, /check answered 500", "err", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
