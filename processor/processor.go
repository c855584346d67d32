// Package processor takes the log into the lake: it owns shards, decodes their
// records, drops duplicates, gathers rows, cuts, and commits every cut together
// with the offset it leads to (design §6).
package processor

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/topic"
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
	Leave(ctx context.Context, processor string) error
	Processors(ctx context.Context) ([]string, error)
}

// Service owns a fair share of the shards.
type Service struct {
	cfg  Config
	deps Deps
}

// New checks the configuration and returns a service that is not running yet.
func New(cfg Config, deps Deps) (*Service, error) {
	return &Service{cfg: cfg.withDefaults(), deps: deps}, errStub
}

// Run owns shards until ctx ends; then it commits what they have gathered,
// within Config.DrainTimeout, and gives them up.
func (s *Service) Run(context.Context) error { return errStub }

// Handler serves the tail of the shards owned here to query processes. It
// belongs on an internal listener.
func (s *Service) Handler() http.Handler { return http.NotFoundHandler() }

// Ready says why shards of this process are not being taken in, or nil.
func (s *Service) Ready() error { return errStub }

var errStub = errors.New("processor: not built yet")
