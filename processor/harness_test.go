package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/registry"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

// harness holds what outlives the processors of a test: Kafka, the registry, and
// the lake with its faults. It belongs to one synctest bubble.
type harness struct {
	t        *testing.T
	backend  *laketest.Backend
	registry *registry.Registry
	network  *kfake.VirtualNetwork
	producer *kgo.Client
	layout   topic.Layout
	reader   *lake.Lake    // a process that only reads
	window   time.Duration // of every processor
	log      *slog.Logger
	clocks   Clocks // of every processor
	open     openFunc

	oldestRead func(context.Context) (time.Time, error) // of every processor; nil: no snapshot is read

	adoptRuns func(context.Context) (bool, error) // of every processor; nil: the lake has the layout that it is opened with

	manyFiles bool // post spreads events over products, clients and days, so that a cut has several data files of a table

	sentMu sync.Mutex
	sent   map[logPlace]sentRecord // what post and postChange have sent
}

type logPlace struct {
	shard  int32
	offset int64
}

// sentRecord is an event or a change as it was before it became a record.
type sentRecord struct {
	event  *schemas.Event
	change *schemas.Change
}

// withHarness runs story in a synctest bubble of its own, in which it is noon.
func withHarness(t *testing.T, shards int, story func(t *testing.T, w *harness)) {
	t.Helper()
	withHarnessOn(t, shards, (*laketest.Backend).Open, story)
}

// openFunc opens a lake as one process does.
type openFunc func(b *laketest.Backend, ctx context.Context, cfg lake.Config) (*lake.Lake, error)

// withHarnessOn is withHarness with a lake that each process opens by open.
func withHarnessOn(t *testing.T, shards int, open openFunc, story func(t *testing.T, w *harness)) {
	t.Helper()
	scratch := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		w := &harness{t: t, window: 24 * time.Hour, open: open, backend: laketest.New(), network: &kfake.VirtualNetwork{}, sent: map[logPlace]sentRecord{}, log: slog.New(slog.NewTextHandler(testLogWriter{t}, nil))}
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(w.network.Listen))
		w.must(err)
		defer cluster.Close()
		w.registry, err = registry.Open(t.Context(), "sqlite:"+filepath.Join(scratch, fmt.Sprintf("registry-%d.db", time.Now().UnixNano())), w.log)
		w.must(err)
		defer w.registry.Close()
		w.producer, err = w.kafka(kgo.RecordPartitioner(kgo.ManualPartitioner()))
		w.must(err)
		defer w.producer.Close()
		w.layout, err = topic.Ensure(t.Context(), w.producer, w.registry, topic.Options{Shards: shards})
		w.must(err)
		w.reader = w.openLake()
		story(t, w)
	})
}

// testLogWriter writes log lines to the log of the test.
type testLogWriter struct{ t *testing.T }

func (l testLogWriter) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (w *harness) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *harness) kafka(opts ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers("localhost:9092"), kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
			return w.network.DialContext(ctx, network, host)
		}),
		kgo.ProducerBatchCompression(kgo.SnappyCompression()), kgo.DisableClientMetrics(),
	}
	return kgo.NewClient(append(base, opts...)...)
}

func (w *harness) openLake() *lake.Lake {
	w.t.Helper()
	l, err := w.open(w.backend, w.t.Context(), lake.Config{Compression: "snappy"})
	w.must(err)
	return l
}

// post writes an event to shard for each random id: storyEvent.
func (w *harness) post(shard int32, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		e := storyEvent(id)
		if !w.manyFiles {
			e.Product, e.Client, e.Time = 1, 1, time.Now().UnixMilli()
		}
		w.produce(shard, topic.Append(nil, e), sentRecord{event: e})
	}
	w.must(w.producer.Flush(w.t.Context()))
}

// postChange writes a change of a client to shard: storyChange.
func (w *harness) postChange(shard int32, plan string) {
	w.t.Helper()
	c := storyChange(plan)
	if !w.manyFiles {
		c.Product, c.Client = 1, 1
	}
	w.produce(shard, topic.AppendChange(nil, c), sentRecord{change: c})
	w.must(w.producer.Flush(w.t.Context()))
}

// record writes one record with any value.
func (w *harness) record(shard int32, value []byte) {
	w.t.Helper()
	w.produce(shard, value, sentRecord{})
	w.must(w.producer.Flush(w.t.Context()))
}

// produce sends a record and keeps, under the offset it gets, what it was made from.
func (w *harness) produce(shard int32, value []byte, of sentRecord) {
	w.t.Helper()
	r := &kgo.Record{Topic: topic.Name, Partition: shard, Key: topic.Key(nil, 1, 1), Value: value, Timestamp: time.Now()}
	w.producer.Produce(w.t.Context(), r, func(r *kgo.Record, err error) {
		if err != nil {
			w.t.Errorf("produce: %v", err)
			return
		}
		w.sentMu.Lock()
		defer w.sentMu.Unlock()
		w.sent[logPlace{r.Partition, r.Offset}] = of
	})
}

// numbered returns n random ids.
func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return ids
}

// process is a processor that can be cut off from the registry and the lake.
type process struct {
	w       *harness
	service *Service
	lake    *lake.Lake
	leases  *fakeLeases
	stop    context.CancelFunc
	done    chan error
}

// fakeLeases is the registry as one process sees it.
type fakeLeases struct {
	Leases
	unreachable atomic.Bool // every call fails
	zombie      atomic.Bool // calls do nothing, and renewals seem to succeed
}

var errCutOff = errors.New("cut off from the registry")

func (l *fakeLeases) Renew(ctx context.Context, shard int32, epoch int64, ttl time.Duration) error {
	switch {
	case l.zombie.Load():
		return nil
	case l.unreachable.Load():
		return errCutOff
	}
	return l.Leases.Renew(ctx, shard, epoch, ttl)
}

func (l *fakeLeases) Heartbeat(ctx context.Context, id string, ttl time.Duration) error {
	switch {
	case l.zombie.Load():
		return nil
	case l.unreachable.Load():
		return errCutOff
	}
	return l.Leases.Heartbeat(ctx, id, ttl)
}

func (l *fakeLeases) Release(ctx context.Context, shard int32, epoch int64) error {
	if l.unreachable.Load() || l.zombie.Load() {
		return errCutOff
	}
	return l.Leases.Release(ctx, shard, epoch)
}

func (l *fakeLeases) DeregisterProcessor(ctx context.Context, id string) error {
	if l.unreachable.Load() || l.zombie.Load() {
		return errCutOff
	}
	return l.Leases.DeregisterProcessor(ctx, id)
}

func (l *fakeLeases) Claim(ctx context.Context, shard int32, o registry.Owner, ttl time.Duration) (int64, error) {
	if l.unreachable.Load() || l.zombie.Load() {
		return 0, errCutOff
	}
	return l.Leases.Claim(ctx, shard, o, ttl)
}

// start runs a processor. It does not compact unless cfg.CompactEvery is set.
func (w *harness) start(id string, cfg Config) *process {
	w.t.Helper()
	cfg.ID, cfg.Scratch, cfg.DedupeWindow = id, w.t.TempDir(), w.window
	if cfg.CompactEvery == 0 {
		cfg.CompactEvery = -1
	}
	p := &process{w: w, lake: w.openLake(), leases: &fakeLeases{Leases: w.registry}, done: make(chan error, 1)}
	var err error
	p.service, err = New(cfg, Deps{Registry: p.leases, Lake: p.lake, Kafka: w.kafka, Layout: w.layout, Log: w.log, Clocks: w.clocks, AdoptRuns: w.adoptRuns, OldestRead: w.oldestRead})
	w.must(err)
	ctx, stop := context.WithCancel(w.t.Context())
	p.stop = stop
	go func() { p.done <- p.service.Run(ctx) }()
	return p
}

// stopAndWait ends p, which drains, and waits for it.
func (p *process) stopAndWait() {
	p.w.t.Helper()
	p.stop()
	if err := <-p.done; err != nil {
		p.w.t.Errorf("run: %v", err)
	}
}

// crash ends p without draining. Its leases are not released and run out later.
func (p *process) crash() {
	p.w.t.Helper()
	p.leases.unreachable.Store(true)
	for _, o := range p.service.owned() {
		o.stop(errLeaseLost)
	}
	p.stopAndWait()
}

// waitCommitted waits until the lake has everything, and returns the states of
// events.
func (w *harness) waitCommitted() lake.ShardStates {
	w.t.Helper()
	time.Sleep(5 * time.Minute)
	return w.shardStates(lake.Events)
}

func (w *harness) shardStates(t lake.Table) lake.ShardStates {
	w.t.Helper()
	s, err := w.reader.Load(w.t.Context(), t)
	w.must(err)
	return s.ShardStates()
}

// counters returns the counters of one shard in events.
func (w *harness) counters(shard int32) lake.Counters {
	return w.shardStates(lake.Events)[shard].Counters
}

// wantCounters compares the counters of a shard with want, and their sum with its
// offset.
func (w *harness) wantCounters(shard int32, want lake.Counters) {
	w.t.Helper()
	s := w.shardStates(lake.Events)[shard]
	if diff := cmp.Diff(want, s.Counters); diff != "" {
		w.t.Errorf("shard %d counters (-want +got):\n%s", shard, diff)
	}
	if s.Next-s.First != s.Counters.Sum() {
		w.t.Errorf("shard %d: balance does not close: %d to %d, %+v", shard, s.First, s.Next, s.Counters)
	}
}

// tailOf returns the offsets of the rows that p holds of shard from an offset on.
func (p *process) tailOf(shard int32, from int64) (next int64, offsets []int64, err error) {
	p.w.t.Helper()
	time.Sleep(2 * publishEvery)
	part, err := p.service.Tail(shard, from)
	if err != nil {
		return 0, nil, err
	}
	return part.Next, offsetsOf(p.w.t, &sealedCut{rows: part.Rows}), nil
}

var _ tail.Provider = (*Service)(nil)

// commitForeignLog commits a state to all tables that names another topic id, as if
// the lake had been filled from another log.
func (w *harness) commitForeignLog(shard int32) {
	w.t.Helper()
	for _, t := range lake.Tables() {
		at := w.shardStates(t)[shard]
		to := at
		to.Next, to.Position.TopicID = at.Next+1, "another log"
		to.Counters.Lost++
		if t != lake.Events {
			to.Counters = lake.Counters{}
		}
		_, err := w.reader.Commit(w.t.Context(), t, []lake.Cut{{ID: "test", Shard: shard, From: at.Next, To: to, Sealed: time.Now()}})
		w.must(err)
	}
}

// commit commits the files of a cut of shard 0 to one table alone, as an owner does
// that crashes before the next table.
func (w *harness) commit(t lake.Table, from, to int64, write func() ([]lake.DataFile, error)) {
	w.t.Helper()
	files, err := write()
	w.must(err)
	cut := lake.Cut{ID: "by hand", From: from, To: lake.ShardState{Next: to, Position: lake.LogPosition{Epoch: -1}}, Files: files, Sealed: time.Now()}
	outcomes, err := w.reader.Commit(w.t.Context(), t, []lake.Cut{cut})
	w.must(err)
	if outcomes[0] != lake.Committed {
		w.t.Fatalf("commit to %s: %s", t, outcomes[0])
	}
}

// postEveryVerdict posts records of each verdict.
func (w *harness) postEveryVerdict(round string) {
	w.t.Helper()
	w.post(0, round+"a", "twice")
	w.record(0, []byte("poison"))
	w.postChange(0, round)
	w.post(0, "twice", round+"b")
	w.postChange(0, round)
}

// failStep makes the n-th step of its kind fail, counted from now; all steps after
// it fail as `then`. failed reports whether the step has been met.
func (w *harness) failStep(step laketest.Step, n int, kind laketest.Kind, then laketest.Kind) (failed func() bool) {
	var mu sync.Mutex
	seen, done := 0, false
	w.backend.Faults.Set(func(at laketest.Step) laketest.Kind {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return then
		}
		if at != step {
			return laketest.None
		}
		seen++
		if seen <= n {
			return laketest.None
		}
		done = true
		return kind
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return done
	}
}

func (w *harness) files(t lake.Table) []lake.DataFile {
	w.t.Helper()
	s, err := w.reader.Load(w.t.Context(), t)
	w.must(err)
	files, err := s.Files(w.t.Context())
	w.must(err)
	return files
}
