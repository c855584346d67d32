// Package view fixes what one answer includes and reads it: a snapshot of the
// lake and, for what is acknowledged but not committed yet, the tails that the
// owners of the shards hold.
//
// It promises:
//
//   - A View has one watermark: per shard, the next offset that it does not
//     include. Each of its scans yields every row below the watermark and none
//     above, and yields the same rows each time, while events arrive, are
//     committed and compacted.
//   - A shard whose owner does not answer is read from the lake alone. The
//     answer is then older and still right, and Coverage lists the shard as
//     partial.
//   - An owner counts only if the registry knows no newer epoch of its shard,
//     and only if it has come at least as far as the lake: a former owner that
//     was fenced off, or one that is still catching up, cannot change an answer.
//   - Plan waits at most Config.ReachWait for a watermark that a client sends
//     back, and then gives an older view that says so.
//
// It needs the lake and the registry's list of owners; it fails with their
// errors. It fails with ErrMoved where an owner dropped rows of the tail between
// two requests of one View; Retry plans such a question anew. Nothing is ever
// written.
//
// A View holds the batches of the tail, which the tail client bounds, and at
// most 2·gatherBytes of rollup rows; an OrderedScan holds MaxKeys keys and
// maxBuckets counters. All else is one batch at a time.
package view

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/places"
	"weir/schemas/tail"
)

// ErrMoved reports rows of the tail that their owner cannot give any more. The
// question must be planned anew.
var ErrMoved = errors.New("owner no longer has what the plan saw")

// moveAttempts bounds how often Retry runs a question that fails with ErrMoved.
const moveAttempts = 3

// Config bounds what plans wait for. All fields are required.
type Config struct {
	ReachWait  time.Duration // how long Plan waits for a watermark that is not reached yet
	MaxScans   int           // scans that run at once
	MaxAnswers int           // answers that scan or wait for their client
	ScanWait   time.Duration // how long AcquireScan waits for one of them to end
}

// Deps are what a Reader reads from. All but Metrics are required.
type Deps struct {
	Lake    *lake.Lake
	Tail    *tail.Client
	Owners  *Owners
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil registers nothing
}

// Reader makes views. It is safe for concurrent use.
type Reader struct {
	cfg     Config
	lake    *lake.Lake
	tail    *tail.Client
	owners  *Owners
	log     *slog.Logger
	metrics *metrics
	optOuts optOutFacts
	scans   *places.Places
	large   *places.Places // of questions that are read, see AcquireQuestion
}

// NewReader returns a Reader. It reads nothing yet.
func NewReader(cfg Config, deps Deps) (*Reader, error) {
	// More scans of one account than there are processors would not be faster, and
	// each keeps several of them busy. Half of them is what another account that is
	// here finds free.
	processors := runtime.GOMAXPROCS(0)
	scans := places.New(places.Config{
		Places: cfg.MaxScans, Alone: processors, Shared: max(1, processors/2), Open: cfg.MaxAnswers, Wait: cfg.ScanWait,
	})
	m, err := newMetrics(deps.Metrics, scans.Usage, deps.Lake)
	if err != nil {
		return nil, err
	}
	large := places.New(places.Config{Places: largeQuestions, Alone: processors, Shared: max(1, processors/2), Wait: cfg.ScanWait})
	return &Reader{cfg: cfg, lake: deps.Lake, tail: deps.Tail, owners: deps.Owners, log: deps.Log, metrics: m, scans: scans, large: large}, nil
}

// largeQuestions is how many questions of a large body are read, compiled and answered
// at once. One of 1 MiB holds about ten times that until it is answered.
const largeQuestions = 8

// AcquireQuestion waits until a question of the account whose body is large may be
// read, at most Config.ScanWait; then it fails with a 503. The caller releases the
// place when it has answered.
func (r *Reader) AcquireQuestion(ctx context.Context, account string) (*places.Place, error) {
	return r.acquire(ctx, r.large, account)
}

// AcquireScan waits until a question of the account may scan, at most
// Config.ScanWait; then it fails with a 503. The caller releases the place when it
// has answered, and lends it while it waits for the client.
func (r *Reader) AcquireScan(ctx context.Context, account string) (*places.Place, error) {
	return r.acquire(ctx, r.scans, account)
}

func (r *Reader) acquire(ctx context.Context, of *places.Places, account string) (*places.Place, error) {
	place, err := of.Acquire(ctx, account)
	if errors.Is(err, places.ErrBusy) {
		r.metrics.rejected.Inc()
		return nil, &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "busy", Detail: "Too many questions at once", RetryAfter: 5,
		}
	}
	return place, err
}

// Retry runs fn, which plans a question and reads its view, again while it
// fails with ErrMoved: a commit came between the plan and a second request to
// an owner. fn must have written nothing of its answer when it fails so.
func (r *Reader) Retry(fn func() error) error {
	for attempt := 1; ; attempt++ {
		err := fn()
		if !errors.Is(err, ErrMoved) || attempt == moveAttempts {
			return err
		}
		r.metrics.replans.Inc()
	}
}
