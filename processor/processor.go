// Package processor takes the log into the lake: it owns shards, passes one
// verdict on each of their records (stored, duplicate, dead or control), gathers
// rows, and commits every cut together with the offset it leads to. Until a cut
// is committed, and for one cut more, it serves the rows as the tail.
//
// It promises what design §4 calls 2 to 5 and 7 to 9, and needs the registry
// for leases, Kafka for the log and the lake for everything else. It keeps no
// state of its own: a shard that is taken over begins with what the lake says.
// A shard that cannot go on stops alone, says why in log, metrics and Ready,
// and is tried again; its neighbours go on.
//
// What a crash or a fault leaves behind, and what puts it right:
//
//	after                                 what is there                    what happens
//	gathering, before any put             nothing                          the log is read again from the next of events
//	some or all data files are put        files no table knows             the same; orphan clean-up deletes them
//	the commit to dead_letters            letters ahead of events          they stay dead; the first cut ends where they end
//	the commit to client_changes          changes ahead of events          they stay, and are not written again; a cut ends where they end
//	the commit to events                  rollups behind events            they catch up from the rows of events
//	a commit to some of the rollups       some rollups behind              the same, each from where it stands
//	a commit of unknown result, applied   the table shows the cut's id     it counts as committed
//	a commit of unknown result, lost      the table stands at From         the same files are committed
//	a commit of unknown result, too late  the swap's base is gone          nothing: the assertion fails
//	a lease is lost, or stolen            two owners of one shard          the first commit to events stands, the other starts anew
//	an owner was paused past its lease    a cut that starts behind         dropped, its shard starts anew from the lake
//	compaction has merged, not replaced   a file no table knows            the next compaction merges again
//	compaction meets another              inputs that are gone             it leaves the group alone
//	object store or catalog are down      a cut that waits                 it is tried again; memory full, the log waits
//	the drain timeout                     gathered, not committed          as a crash
//	scratch files are lost                nothing                          fingerprints are rebuilt at take-over
//	the log has lost, or is another       offsets that do not fit          the shard stops until an operator decides
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
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

const (
	cutsInMemory      = 3 // cuts whose rows are in memory at once: gathering, being committed, kept for the tail
	groupID           = "weir-processor"
	groupOffsetsEvery = 5 * time.Second
	logEndEvery       = time.Second // how often the log is asked where it ends
)

// Config says how a processor gathers, cuts and owns. The zero value works,
// but for Secret: without one the tail answers nobody.
type Config struct {
	ID      string // name of this process among the owners of shards; "" makes one up. A name that stays over restarts gets its shards back at once
	Address string // host:port under which query processes reach the tail
	Secret  string // of the cluster; whoever knows it may read the tail

	CutAge       time.Duration // a cut is closed when its first record has waited this long; 0 means 60s
	GatherBytes  int64         // memory for gathered rows of all shards of the process: gathering, being committed, kept for the tail; 0 means 128 MiB
	DedupeWindow time.Duration // of log time, in which a random id counts once; 0 means 24h; 1h to 30 days
	DedupeBytes  int64         // memory for fingerprints of all shards of the process; 0 means 64 MiB. Older ones lie in Scratch
	Scratch      string        // folder on a local disk for fingerprints, which may be lost at any time; "" means the system's temporary folder

	LeaseTTL     time.Duration // how long a shard waits for its owner to come back; 0 means 10s
	DrainTimeout time.Duration // for the last cut when the process ends or gives a shard up; 0 means 30s
	CompactEvery time.Duration // how often small data files are looked for; 0 means 5m, negative never

	KeepSnapshots time.Duration // how long a scan or another engine may hold a snapshot of a table; commits grow slower the more there are; 0 means 15m

	Adopt      bool   // a shard that is not in the lake may start at a log that does not start at 0
	AcceptLoss string // what of the log an operator gives up, "shard@next,…" as the error names it; repeated starts with the same text are harmless
}

func (c Config) withDefaults() Config {
	c.CutAge = cmp.Or(c.CutAge, time.Minute)
	c.GatherBytes = cmp.Or(c.GatherBytes, 128<<20)
	c.DedupeWindow = cmp.Or(c.DedupeWindow, 24*time.Hour)
	c.DedupeBytes = cmp.Or(c.DedupeBytes, 64<<20)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 10*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 30*time.Second)
	c.CompactEvery = cmp.Or(c.CompactEvery, 5*time.Minute)
	c.KeepSnapshots = cmp.Or(c.KeepSnapshots, 15*time.Minute)
	c.ID = cmp.Or(c.ID, "processor-"+uuid.NewString())
	c.Scratch = cmp.Or(c.Scratch, os.TempDir())
	return c
}

// Deps are what a processor works with. All but Metrics are required.
type Deps struct {
	Registry Leases
	Lake     *lake.Lake
	Kafka    func(...kgo.Opt) (*kgo.Client, error) // a new client of the cluster, with the options added
	Layout   topic.Layout
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil registers nothing
}

// Leases is the part of the registry that says who owns which shard.
type Leases interface {
	Claim(ctx context.Context, shard int32, owner registry.Owner, ttl time.Duration) (int64, error)
	Renew(ctx context.Context, shard int32, epoch int64, ttl time.Duration) error
	Release(ctx context.Context, shard int32, epoch int64) error
	Owners(ctx context.Context) ([]registry.OwnerRow, error)
	Heartbeat(ctx context.Context, processor string, ttl time.Duration) error
	DeregisterProcessor(ctx context.Context, processor string) error
	Processors(ctx context.Context) ([]string, error)
}

// Service owns a fair share of the shards and takes them in.
type Service struct {
	cfg            Config
	deps           Deps
	log            *slog.Logger
	metrics        *metrics
	accepted       map[int32]acceptedLoss
	commits        *committer
	encodeSlots    chan struct{} // as many places as cuts may be encoded at once
	admin          *kgo.Client   // asks and writes ticks; set by Run
	shardsWanted   atomic.Int64  // shards this process should have
	workerReturned chan struct{} // a worker has returned; room for one

	mu       sync.Mutex // guards what follows
	shards   map[int32]*ownership
	leaseErr error // why leases are not looked after; nil when they are
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
	return &Service{
		cfg: cfg, deps: deps, log: log, metrics: m, accepted: accepted,
		commits:        &committer{lake: deps.Lake, queue: make(chan *submission), metrics: m, log: log, committed: map[int32]int64{}},
		encodeSlots:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		workerReturned: make(chan struct{}, 1), shards: map[int32]*ownership{}, leaseErr: errors.New("leases not looked at yet"),
	}, nil
}

// Run owns shards until ctx ends; then it commits what they have gathered,
// within Config.DrainTimeout, and gives them up.
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
	commits, stop := context.WithCancel(context.WithoutCancel(ctx)) // shards that drain need the committer
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.commits.run(commits) })
	g.Go(func() error {
		defer stop()
		return s.manageLeases(ctx)
	})
	g.Go(func() error { return s.writeTicks(ctx) })
	g.Go(func() error { return s.commitGroupOffsets(ctx) })
	g.Go(func() error { return s.watchLogEnds(ctx) })
	g.Go(func() error { return s.maintain(ctx) })
	return g.Wait()
}

// Handler serves the tail of the shards owned here to query processes. It
// belongs on an internal listener.
func (s *Service) Handler() http.Handler { return tail.Handler(s, s.cfg.Secret) }

// Tail is what shard holds from offset `from` on, for Handler.
func (s *Service) Tail(shard int32, from int64) (tail.Part, error) {
	s.mu.Lock()
	o := s.shards[shard]
	s.mu.Unlock()
	if o == nil {
		return tail.Part{}, tail.ErrNotOwner
	}
	return o.worker.buffer.tail(from)
}

// Ready says why shards of this process are not being taken in, or nil.
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

// setLeaseErr remembers whether the leases are looked after.
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

// newWorker is the worker of a shard just claimed.
func (s *Service) newWorker(shard int32, epoch int64) *worker {
	return &worker{
		shard: shard, cfg: s.cfg, lake: s.deps.Lake, kafka: s.deps.Kafka, admin: s.admin, accepted: s.accepted,
		commits: s.commits, encodeSlots: s.encodeSlots, memory: memory.DefaultAllocator,
		gatherBudget: func() int64 { return s.perShard(s.cfg.GatherBytes) / cutsInMemory },
		dedupeBudget: func() int64 { return s.perShard(s.cfg.DedupeBytes) },
		metrics:      s.metrics.shard(shard),
		log:          s.log.With("shard", shard),
		buffer:       &tailBuffer{shard: shard, epoch: epoch},
	}
}

// perShard is what one of our shards may take of a budget of the process.
func (s *Service) perShard(budget int64) int64 { return budget / max(s.shardsWanted.Load(), 1) }

// watchLogEnds tells the shards once in a while where their logs end: a log that is
// quiet says nothing by itself, neither that there is nothing more nor when.
func (s *Service) watchLogEnds(ctx context.Context) error {
	every := time.NewTicker(logEndEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		owned := s.owned()
		if len(owned) == 0 {
			continue
		}
		asked := time.Now()
		highWatermarks, err := s.highWatermarks(ctx)
		if err != nil {
			s.log.DebugContext(ctx, "end of the log not read", "err", err)
			continue
		}
		for _, o := range owned {
			if end, ok := highWatermarks.Lookup(topic.Name, o.worker.shard); ok && end.Err == nil {
				o.worker.buffer.setLogEnd(end.Offset, asked)
			}
		}
	}
}

func (s *Service) highWatermarks(ctx context.Context) (kadm.ListedOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, groupOffsetsEvery)
	defer cancel()
	return kadm.NewClient(s.admin).ListEndOffsets(ctx, topic.Name)
}

// commitGroupOffsets tells Kafka, for those who watch lag there, how far the lake has come.
// Nothing ever reads it back (rule 2).
func (s *Service) commitGroupOffsets(ctx context.Context) error {
	every := time.NewTicker(groupOffsetsEvery)
	defer every.Stop()
	committed := map[int32]int64{}
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		offsets := kadm.Offsets{}
		for shard, next := range s.commits.committedOffsets() {
			if committed[shard] != next {
				offsets.AddOffset(topic.Name, shard, next, -1)
			}
		}
		if len(offsets) == 0 {
			continue
		}
		if err := s.commitGroup(ctx, offsets); err != nil {
			s.log.DebugContext(ctx, "group offsets not committed", "err", err)
			continue
		}
		offsets.Each(func(o kadm.Offset) { committed[o.Partition] = o.At })
	}
}

func (s *Service) commitGroup(ctx context.Context, offsets kadm.Offsets) error {
	ctx, cancel := context.WithTimeout(ctx, groupOffsetsEvery)
	defer cancel()
	return kadm.NewClient(s.admin).CommitAllOffsets(ctx, groupID, offsets)
}
