// Package query answers questions from the lake and, for what is acknowledged
// but not committed yet, from the tails of the shards' owners.
//
// It promises:
//
//   - An answer has one watermark: per shard, the next offset it does not
//     include (design §6, rule 7). All events below it are in the answer and
//     none above. It is sent as `Weir-Watermark: 0=123,1=456`.
//   - An event list that is asked with that header gives exactly that
//     watermark, so pages stay what they were while events come in and data
//     files are compacted; a report gives at least that. If it cannot be
//     reached within Config.ReachWait the answer is an older one and marked.
//   - `Weir-As-Of` (RFC 3339, UTC) is the smallest, over shards, of the time up
//     to which a shard is included: for a shard whose owner answered and had
//     read its log to the end, when it last saw that; otherwise the log time at
//     the shard's watermark. A shard that was never written to and has no owner
//     does not count. Where a watermark that was sent back cuts a shard short of
//     what is there, it is the newest arrival in a data file that lies below the
//     cut as a whole: a lower bound. Where there is none the header is left out.
//   - `Weir-Partial: 1,3` lists the shards that the answer could not take to
//     their newest event (no owner answers, or the one that does has a backlog),
//     or to the watermark that was asked for. The answer is right, and as old
//     as Weir-As-Of says. Without the header it is complete.
//
// It needs the registry, the lake and, for freshness, owners that answer; it
// changes nothing but exports. It fails by an error in the shape of the
// contract asked. An answer that fails after its first byte is cut off, so that
// no client takes it for whole.
//
// Memory is bounded: at most Config.MaxScans questions scan at once, each holds
// batches, at most maxKeys sort keys, pageBytes of rows, Config.ReportBytes of
// clients and Config.Tail's bytes.
package query

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/lake"
	"weir/schemas/objects"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

// DefaultLookback is the published limit of contract 3, for whoever builds a
// Config from settings: there 0 is asked for by an operator and is no limit.
const DefaultLookback = 8760 * time.Hour

// Config says how questions are answered. The zero value works.
type Config struct {
	Lookback    time.Duration // how far back the day of startDate of contract 3 may lie; 0 is no limit, DefaultLookback is as published
	ReachWait   time.Duration // how long a watermark that is not reached yet is waited for; 0 means 2s
	MaxScans    int           // questions that scan at once; 0 means 16, more wait for ScanWait
	ScanWait    time.Duration // how long a question waits for its turn before 503; 0 means 10s
	WriteStall  time.Duration // how long a client may take nothing of its answer, or may take to send its question; 0 means 30s
	MaxBody     int64         // bytes of a question; 0 means 1 MiB
	ReportBytes int64         // of memory for what one report knows of clients; more clients are looked at in several passes; 0 means 128 MiB
	DownloadTTL time.Duration // how long a presigned download URL lives; 0 means 15m

	PublicEndpoint string        // URL of the object store as clients see it; "" means scheme and Host of the asking request, or see DirectLinks
	DirectLinks    bool          // without PublicEndpoint links lead to the store's own address: nobody passes them on here
	Origins        []string      // values of Origin that contract 4 takes besides its own host; nil means https://analytics.revenera.com
	TrustProxy     bool          // believe X-Forwarded-Proto, for Secure cookies and https links, and the last X-Forwarded-For, for wrong passwords
	Builds         int           // export files built at once; 0 means 2
	DeflateLevel   int           // of export files, 1 (fast) to 9 (small); 0 means 1
	CloseEvery     time.Duration // how often to look for days that have closed; 0 means 1m
}

func (c Config) withDefaults() Config {
	c.ReachWait = cmp.Or(c.ReachWait, 2*time.Second)
	c.MaxScans = cmp.Or(c.MaxScans, 16)
	c.ScanWait = cmp.Or(c.ScanWait, 10*time.Second)
	c.WriteStall = cmp.Or(c.WriteStall, 30*time.Second)
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.DownloadTTL = cmp.Or(c.DownloadTTL, 15*time.Minute)
	if c.Origins == nil {
		c.Origins = []string{publishedOrigin}
	}
	c.Builds = cmp.Or(c.Builds, 2)
	c.DeflateLevel = cmp.Or(c.DeflateLevel, 1)
	c.CloseEvery = cmp.Or(c.CloseEvery, time.Minute)
	return c
}

// Deps are what the service works with. All but Exports and Metrics are
// required.
type Deps struct {
	Registry *registry.Registry
	Lake     *lake.Lake
	Exports  *objects.Bucket // where export files lie
	Tail     *tail.Client
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil registers nothing
}

// Service answers questions. It is safe for concurrent use.
type Service struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	owners  *ownerList
	basic   *basicAuth
	turns   chan struct{} // one for each scan that runs

	maxKeys   int64 // sort keys that one question holds at once; 0 means maxKeys. Tests lower it
	pageBytes int   // of rows that one page holds at once; 0 means pageBytes. Tests lower it
	listPage  int   // clients of a page of clientPropertyList; 0 means the contract's 200. Tests lower it

	exports exportState
}

// New checks what it is given and returns a service that is ready to answer.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Registry == nil || deps.Lake == nil || deps.Tail == nil || deps.Log == nil {
		return nil, errors.New("query needs Registry, Lake, Tail and Log")
	}
	cfg = cfg.withDefaults()
	s := &Service{
		cfg: cfg, deps: deps, log: deps.Log,
		owners: &ownerList{registry: deps.Registry},
		basic:  newBasicAuth(deps.Registry, cfg.TrustProxy),
		turns:  make(chan struct{}, cfg.MaxScans),
	}
	var err error
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, err
	}
	return s, s.openExports()
}

// Handler serves contracts 2, 3 and 4.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/v3/business/report/event/user", s.route(endpoint{
		name: "user_events", method: http.MethodPost, answer: s.userEvents, spell: spellUserEventsError,
	}))
	mux.Handle("/analytics/api/v1/events", s.route(endpoint{
		name: "analytics_events", method: http.MethodPost, answer: s.analyticsEvents, spell: spellAnalyticsError,
	}))
	s.unknown(mux, "/api/v3/business/", "business_unknown", spellUserEventsError)
	s.unknown(mux, "/analytics/", "analytics_unknown", spellAnalyticsError)
	s.reportingRoutes(mux)
	return mux
}

// Run closes days and builds export files until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.runExports(ctx) }

// Ready says why a question cannot be answered, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if _, err := s.owners.list(ctx); err != nil {
		return err
	}
	_, err := s.deps.Lake.Load(ctx, lake.Events)
	return err
}
