// Package processor brings the records of the log into the lake. It owns shards,
// classifies each of their records exactly once (stored, duplicate, dead or
// control), gathers rows, and commits every cut together with the offset that it
// ends at. Until a cut is committed, and for one cut more, it serves the rows as
// the tail.
//
// It promises exactly once: each record of the log is a row of the lake, or
// counted as a duplicate, or a dead letter, whatever crashes, changes owner or
// fails meanwhile, and the counters of a shard add up to its offset. It needs
// the registry for leases, Kafka for the log, and the lake for everything else.
// It keeps no state of its own: a shard that is taken over starts from what the
// snapshots of the tables say. A shard that cannot go on stops alone, reports
// why in its log, metrics and Ready, and is retried; the other shards go on.
//
// What a crash or a fault leaves behind, and what repairs it (each row has a
// test; schemas/DESIGN.md "A commit" and "After an error", has the reasons):
//
//	after                                      what is left                       what happens next
//	gathering, before any file is put          nothing                            the log is read again from the offset of events
//	some or all data files are put             files that no table lists          the same; orphan clean-up deletes the files
//	the commit to dead_letters                 dead_letters is ahead of events    its offsets stay dead; the first cut ends where dead_letters ends
//	the commit to client_changes               client_changes is ahead of events  its rows stay and are not written again; a cut ends where it ends
//	the commit to events                       rollups are behind events          they catch up from the rows of events
//	the commits to some of the rollups         some rollups are behind            the same, each from its own offset
//	a commit with unknown result, applied      the table shows the cut's id       the cut counts as committed
//	a commit with unknown result, lost         the table is where the cut starts  the same files are committed again
//	a commit with unknown result, too late     the snapshot it builds on is old   the catalog refuses it
//	a lease is lost, or stolen                 two owners of one shard            the first commit to events wins, the other owner starts again
//	an owner was paused past its lease         a cut that starts behind events    it is dropped, and the shard starts again from the lake
//	compaction has merged, not replaced        a file that no table lists         the next compaction merges again
//	two compactions of the same files          inputs that are gone               the second leaves the group alone
//	object store or catalog are down           a cut that waits                   it is retried; when memory is full, fetching pauses
//	the drain timeout                          rows gathered, not committed       the same as after a crash
//	fingerprint files are lost                 nothing                            fingerprints are rebuilt when the shard is taken over
//	the log lost records, or is another log    offsets that do not match          the shard stops until an operator accepts the loss
package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

// cutsInMemory is how many cuts of a shard have rows in memory at once: one
// gathers, one is being committed, one is kept for the tail.
const cutsInMemory = 3

// Config sets how a processor gathers rows, closes cuts and owns shards. The zero
// value works, except for Secret: without one the tail refuses every request.
type Config struct {
	ID      string // name of this process among the owners of shards; "" generates one. A process that keeps its name over restarts gets its shards back at once
	Address string // host:port under which query processes reach the tail
	Secret  string // of the cluster; a client that has it may read the tail

	CutAge       time.Duration // a cut is sealed when its first record has waited this long; 0 means 60s
	GatherBytes  int64         // memory for gathered rows of all shards of the process: gathering, being committed, kept for the tail; 0 means 144 MiB
	DedupeWindow time.Duration // of log time, in which a random id is stored once; 0 means 24h; 1h to 30 days
	DedupeBytes  int64         // memory for fingerprints of all shards of the process; 0 means 64 MiB. Older ones are in files below Scratch
	Scratch      string        // folder on a local disk for fingerprints, which may be lost at any time; "" means the system's temporary folder

	LeaseTTL     time.Duration // how long a shard is left alone when its owner does not renew its lease; 0 means 10s
	DrainTimeout time.Duration // for the last cut when the process ends or releases a shard; 0 means 30s
	CompactEvery time.Duration // how often runs that are due are merged; 0 means 10s, negative means no maintenance at all

	CommitTimeout time.Duration // of one commit to one table, whose result is then unknown until it is tried again; 0 means 2m
	MaxClockJump  time.Duration // how far the clock may gain on the clock since boot, and log time may move at a start unseen; 0 means 1h
	MaxCutWait    time.Duration // how long a sealed cut may take to reach all tables until Ready says so; 0 means 5m
	KeepSnapshots time.Duration // how long a scan or another engine may use an old snapshot of a table; past 100 of a table commits pause, up to 10s; 0 means 15m

	Adopt      bool   // a shard that is not in the lake may start from a log that does not start at offset 0
	AcceptLoss string // losses that an operator accepts, as "shard@next:offset,…"; the error of a stopped shard has the text. It may stay set: once the shard is past next it has no effect
}

func (c Config) withDefaults() Config {
	c.CutAge = cmp.Or(c.CutAge, time.Minute)
	c.GatherBytes = cmp.Or(c.GatherBytes, 144<<20)
	c.DedupeWindow = cmp.Or(c.DedupeWindow, 24*time.Hour)
	c.DedupeBytes = cmp.Or(c.DedupeBytes, 64<<20)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 10*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.CompactEvery = cmp.Or(c.CompactEvery, 10*time.Second)
	c.CommitTimeout = cmp.Or(c.CommitTimeout, 2*time.Minute)
	c.MaxClockJump = cmp.Or(c.MaxClockJump, time.Hour)
	c.MaxCutWait = cmp.Or(c.MaxCutWait, 5*time.Minute)
	c.KeepSnapshots = cmp.Or(c.KeepSnapshots, 15*time.Minute)
	c.ID = cmp.Or(c.ID, "processor-"+uuid.NewString())
	c.Scratch = cmp.Or(c.Scratch, os.TempDir())
	return c
}

// Deps are what a processor works with. All but Metrics, Clocks, AdoptRuns and OldestRead are required.
type Deps struct {
	Registry Leases
	Lake     *lake.Lake
	Kafka    func(...kgo.Opt) (*kgo.Client, error) // a new client of the cluster, with the options added
	Layout   topic.Layout
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil registers nothing
	Clocks   Clocks                // what the clock of this machine is judged by; the zero value judges nothing

	// AdoptRuns reports whether runs may be written, which takes that each living
	// processor knows them: registry.AdoptFormat. nil leaves the layout as it is.
	AdoptRuns func(context.Context) (bool, error)

	// OldestRead returns when the oldest snapshot was committed that a process reads, zero
	// if none does: registry.OldestRead. Snapshots from then on are not expired. nil: none.
	OldestRead func(context.Context) (time.Time, error)
}

// Leases is the part of the registry that records which process owns which shard.
// An epoch is raised at each claim; Renew and Release of an older one fail.
type Leases interface {
	Claim(ctx context.Context, shard int32, owner registry.Owner, ttl time.Duration) (int64, error)
	Renew(ctx context.Context, shard int32, epoch int64, ttl time.Duration) error
	Release(ctx context.Context, shard int32, epoch int64) error
	Owners(ctx context.Context) ([]registry.OwnerRow, error)
	Heartbeat(ctx context.Context, processor string, ttl time.Duration) error
	DeregisterProcessor(ctx context.Context, processor string) error
	Processors(ctx context.Context) ([]string, error)
}

// Service owns a fair share of the shards and brings their records into the lake.
type Service struct {
	cfg            Config
	deps           Deps
	log            *slog.Logger
	metrics        *metrics
	clock          *clockGuard
	accepted       map[int32]acceptedLoss
	commits        *committer
	encodeSlots    chan struct{} // one slot for each cut that may be encoded at once
	admin          *kgo.Client   // lists offsets and writes ticks; set by Run
	shardsWanted   atomic.Int64  // fair share of this process, as of the last rebalance
	workerReturned chan struct{} // signals that a worker has returned; capacity 1, so a send never blocks

	mu       sync.Mutex // guards what follows
	shards   map[int32]*ownership
	leaseErr error // of the last renewal; nil when leases are being renewed
}

// New checks the configuration and returns a service that is not running yet.
func New(cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	accepted, err := parseAcceptLoss(cfg.AcceptLoss)
	if err != nil {
		return nil, err
	}
	if cfg.DedupeWindow < time.Hour || cfg.DedupeWindow > 30*24*time.Hour {
		return nil, fmt.Errorf("dedupe window %s is not between 1h and 30 days", cfg.DedupeWindow)
	}
	if deps.Layout.Shards <= 0 {
		return nil, errors.New("the topic's layout has no shards")
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	log := deps.Log.With("processor", cfg.ID)
	s := &Service{
		cfg: cfg, deps: deps, log: log, metrics: m, clock: newClockGuard(cfg, deps.Clocks, log), accepted: accepted,
		commits:        newCommitter(cfg, deps.Lake, m, log),
		encodeSlots:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		workerReturned: make(chan struct{}, 1), shards: map[int32]*ownership{}, leaseErr: errors.New("leases not claimed yet"),
	}
	if err := errors.Join(exportCutWait(s, deps.Metrics), exportClock(s.clock, deps.Metrics)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

// Run owns shards until ctx ends; then it commits what they have gathered,
// within Config.DrainTimeout, and releases them.
func (s *Service) Run(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.Scratch, 0o700); err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	admin, err := s.deps.Kafka(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return fmt.Errorf("connect to kafka: %w", err)
	}
	defer admin.Close()
	s.admin = admin
	evolveLayout(ctx, s) // before the first cut is written, if possible
	// The committer outlives ctx: shards that drain still commit their last cut.
	// It stops when manageLeases has returned, which waits for all of them.
	commits, stop := context.WithCancel(context.WithoutCancel(ctx))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.commits.run(commits, ctx.Done()) })
	g.Go(func() error {
		defer stop()
		return s.manageLeases(ctx)
	})
	g.Go(func() error { return s.writeTicks(ctx) })
	g.Go(func() error { return s.commitGroupOffsets(ctx) })
	g.Go(func() error { return s.watchLogEnds(ctx) })
	g.Go(func() error { return s.maintain(ctx) })
	g.Go(func() error { return s.expireSnapshots(ctx) })
	g.Go(func() error { return awaitLayout(ctx, s) })
	return g.Wait()
}

// Handler serves the tail of the shards that this process owns to query
// processes. It belongs on an internal listener.
func (s *Service) Handler() http.Handler { return tail.Handler(s, s.cfg.Secret) }

// Tail returns what is held of shard from offset `from` on. It implements
// tail.Provider for Handler.
func (s *Service) Tail(shard int32, from int64) (tail.Part, error) {
	s.mu.Lock()
	o := s.shards[shard]
	s.mu.Unlock()
	if o == nil {
		return tail.Part{}, tail.ErrNotOwner
	}
	return o.worker.buffer.tail(from)
}

// Ready returns nil while all shards of this process make progress, else why
// they do not.
func (s *Service) Ready() error {
	s.mu.Lock()
	lease := s.leaseErr
	s.mu.Unlock()
	if lease != nil {
		return fmt.Errorf("leases: %w", lease)
	}
	var errs []error
	for _, o := range s.owned() {
		if err := o.worker.ready(); err != nil {
			errs = append(errs, fmt.Errorf("shard %d: %w", o.worker.shard, err))
		}
	}
	return errors.Join(errs...)
}

// setLeaseErr records the result of the last renewal, for Ready.
func (s *Service) setLeaseErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaseErr = err
}

func (s *Service) owns(shard int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shards[shard] != nil
}

// newWorker returns the worker of a shard that was just claimed.
func (s *Service) newWorker(shard int32, epoch int64) *worker {
	return &worker{
		shard: shard, cfg: s.cfg, lake: s.deps.Lake, kafka: s.deps.Kafka, admin: s.admin, accepted: s.accepted,
		commits: s.commits, encodeSlots: s.encodeSlots, memory: memory.DefaultAllocator,
		gatherBudget: func() int64 { return s.perShard(s.cfg.GatherBytes) / cutsInMemory },
		dedupeBudget: func() int64 { return s.perShard(s.cfg.DedupeBytes) },
		metrics:      s.metrics.shard(shard), clock: s.clock,
		log:    s.log.With("shard", shard),
		buffer: &tailBuffer{shard: shard, epoch: epoch},
	}
}

// perShard returns the part of a budget of the process that one shard may take.
// It must be asked each time, since the number of shards changes.
func (s *Service) perShard(budget int64) int64 { return budget / max(s.shardsWanted.Load(), 1) }
