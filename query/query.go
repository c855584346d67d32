// Package query answers questions from the lake and, for what is acknowledged
// but not committed yet, from the tails of the shards' owners.
//
// It promises:
//
//   - An answer has one watermark: per shard, the next offset that it does not
//     include. All events below it are in the answer and none above. It is sent
//     as `Weir-Watermark: 0=123,1=456`.
//   - A request for an event list that sends that header back gets exactly that
//     watermark, so that pages stay the same while events arrive and data files
//     are compacted; a report has at least that watermark. If it is not reached
//     within Config.ReachWait, the answer is older and marked as partial.
//   - `Weir-As-Of` (RFC 3339, UTC) is the smallest, over shards, of the time up
//     to which a shard is included. For a shard whose owner answered and had
//     read its log to the end, that is when the owner last did; otherwise it is
//     the log time at the shard's watermark. A shard that was never written to
//     and has no owner does not count. For a shard that a watermark of the client
//     narrows, it is the newest arrival in a data file that lies wholly below the
//     watermark, which is a lower bound. If there is none, the header is left
//     out.
//   - `Weir-Partial: 1,3` lists the shards that the answer does not include up
//     to their newest event, because no owner answers or its owner has a backlog,
//     or up to the watermark that the client sent. The answer is right, and as
//     old as Weir-As-Of says. Without the header it is complete.
//
// It needs the registry, the lake and, for freshness, owners that answer; it
// writes nothing but exports. An error has the form of the API that was called.
// An answer that fails after its first byte is aborted, so that no client takes
// it for complete.
//
// Memory is bounded: at most Config.MaxScans questions scan at once, and each
// holds batches, a page of rows (maxPageBytes), Config.ReportBytes of clients,
// and what package view holds.
//
// Package view fixes what an answer includes, package report computes reports,
// and package export builds and lists export files. This package is the HTTP
// part: router.go answers requests, session.go and credentials.go authenticate
// them, and each family of endpoints has a file.
package query

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/query/cost"
	"weir/query/export"
	"weir/query/logins"
	"weir/query/view"
	"weir/schemas/clientaddr"
	"weir/schemas/lake"
	"weir/schemas/objects"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

// DefaultLookback is the published limit of the Events API. A Config that is
// built from settings starts with it; an operator who sets 0 wants no limit.
const DefaultLookback = 8760 * time.Hour

// CostLimits bound what one question may cost; see package cost.
type CostLimits = cost.Limits

// LoginLimits bound guesses of passwords and their cost; see package logins.
type LoginLimits = logins.Config

// Config says how questions are answered. The zero value works.
type Config struct {
	Lookback    time.Duration // how far back the day of startDate of the Events API may lie; 0 is no limit, DefaultLookback is as published
	ReachWait   time.Duration // how long a question waits for a watermark that is not reached yet; 0 means 2s
	Cost        CostLimits    // what one question may cost
	Logins      LoginLimits   // how much may be guessed, and how long a login waits
	MaxScans    int           // questions that scan at once; 0 means 16, more wait for ScanWait
	MaxAnswers  int           // answers that scan or wait for their client to read; 0 means 2·MaxScans
	ScanWait    time.Duration // how long a question waits for a scan, or a download for a build, before 503; 0 means 10s
	WriteStall  time.Duration // how long a client may read nothing of its answer, or may take to send its question; 0 means 30s
	ReadRate    int64         // bytes a second that a client reads of its answer on average, after the first WriteStall; 0 means 32 KiB
	MaxBody     int64         // bytes of a question; 0 means 1 MiB
	ReportBytes int64         // of memory for the clients of one report or export file; more clients are read in several passes; 0 means 48 MiB
	DownloadTTL time.Duration // how long a presigned download URL works; 0 means 15m

	PublicEndpoint string        // URL of the object store as clients see it; "" means scheme and Host of the request, or see DirectLinks
	DirectLinks    bool          // without PublicEndpoint, links lead to the store's own address, because this process does not proxy them
	Origins        []string      // values of Origin that the Reporting API allows besides its own host; nil means https://analytics.revenera.com
	AllowedOrigins []string      // values of Origin whose pages may read answers of the User Events API and the Events API; "*" is every one, nil none
	Builds         int           // export files built at once; 0 means 2
	DayFiles       int           // objects of files of open days that a product may have; 0 means 100
	DeflateLevel   int           // of export files, 1 (fast) to 9 (small); 0 means 1
	CloseEvery     time.Duration // how often to look for days that have closed; 0 means 1m

	// Proxies are those whose X-Forwarded-For is believed, for limits per address, and whose
	// X-Forwarded-Proto, for Secure cookies and https links.
	Proxies clientaddr.Proxies
}

func (c Config) withDefaults() Config {
	c.ReachWait = cmp.Or(c.ReachWait, 2*time.Second)
	c.MaxScans = cmp.Or(c.MaxScans, 16)
	c.MaxAnswers = cmp.Or(c.MaxAnswers, 2*c.MaxScans)
	c.ScanWait = cmp.Or(c.ScanWait, 10*time.Second)
	c.WriteStall = cmp.Or(c.WriteStall, 30*time.Second)
	c.ReadRate = cmp.Or(c.ReadRate, 32<<10)
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.ReportBytes = cmp.Or(c.ReportBytes, 128<<20)
	c.DayFiles = cmp.Or(c.DayFiles, 100)
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
	Exports  *objects.Bucket // of export files; nil: there are none
	Tail     *tail.Client
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil registers nothing
}

// Service answers questions. It is safe for concurrent use.
type Service struct {
	cfg    Config
	deps   Deps
	owners *view.Owners
	views  *view.Reader
	files  *export.Files
	router *router

	userEvents userEventsAPI
	events     eventsAPI
	reporting  reportingAPI
}

// New checks its arguments and returns a service that is ready to answer.
func New(cfg Config, deps Deps) (*Service, error) {
	var bucket export.Bucket // nil, and not an interface that holds a nil *Bucket
	if deps.Exports != nil {
		bucket = deps.Exports
	}
	return newService(cfg, deps, bucket)
}

// newService is New with any bucket. All parts share one view.Reader, and so its
// limit on scans, and one cache of owners.
func newService(cfg Config, deps Deps, bucket export.Bucket) (*Service, error) {
	if deps.Registry == nil || deps.Lake == nil || deps.Tail == nil || deps.Log == nil {
		return nil, errors.New("query needs Registry, Lake, Tail and Log")
	}
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, deps: deps, owners: view.NewOwners(deps.Registry)}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	s.views, err = view.NewReader(
		view.Config{ReachWait: cfg.ReachWait, MaxScans: cfg.MaxScans, MaxAnswers: cfg.MaxAnswers, ScanWait: cfg.ScanWait},
		view.Deps{Lake: deps.Lake, Tail: deps.Tail, Owners: s.owners, Log: deps.Log, Metrics: deps.Metrics})
	if err != nil {
		return nil, err
	}
	s.files, err = export.New(export.Config{
		Builds: cfg.Builds, BuildWait: cfg.ScanWait, DeflateLevel: cfg.DeflateLevel, DownloadTTL: cfg.DownloadTTL, CloseEvery: cfg.CloseEvery,
		ClientBytes: cfg.ReportBytes, DayFiles: cfg.DayFiles,
	}, export.Deps{
		Registry: deps.Registry, Lake: deps.Lake, Owners: s.owners, Views: s.views, Bucket: bucket, Log: deps.Log, Metrics: deps.Metrics,
	})
	if err != nil {
		return nil, err
	}
	respond := responder{
		cost: cfg.Cost.WithDefaults(), manyEvents: m.manyEvents, views: s.views,
		limits: limits{maxBody: cfg.MaxBody, writeStall: cfg.WriteStall, readRate: cfg.ReadRate, slow: m.slow},
	}
	passwords, err := newPasswords(cfg, deps)
	if err != nil {
		return nil, err
	}
	tokens := credentials{registry: deps.Registry, passwords: passwords}
	s.router = &router{limits: respond.limits, log: deps.Log, metrics: m}
	s.userEvents = userEventsAPI{responder: respond, registry: deps.Registry, credentials: tokens, cors: listCORS(cfg.AllowedOrigins)}
	s.events = eventsAPI{responder: respond, credentials: tokens, cors: listCORS(cfg.AllowedOrigins), lookback: cfg.Lookback}
	s.reporting = newReportingAPI(cfg, deps.Registry, respond, passwords, s.files)
	return s, nil
}

// Handler serves the User Events API, the Events API and the Reporting API.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	s.userEvents.mount(mux, s.router)
	s.events.mount(mux, s.router)
	s.reporting.mount(mux, s.router)
	return mux
}

// Run closes days and builds export files until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.files.Run(ctx) }

// Ready returns why a question cannot be answered, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if _, err := s.owners.List(ctx); err != nil {
		return err
	}
	_, err := s.deps.Lake.Load(ctx, lake.Events)
	return err
}
