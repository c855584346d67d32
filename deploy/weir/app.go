package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"weir/deploy/conns"
	"weir/ingest"
	"weir/processor"
	"weir/query"
	"weir/schemas/clientaddr"
	"weir/schemas/lake"
	"weir/schemas/objects"
	"weir/schemas/openapi"
	"weir/schemas/registry"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

// roles selects the services that a process runs.
type roles struct{ ingest, processor, query bool }

// app is one server process: its settings, the clients that its services share,
// and the services. Call newApp, connect, build and services.run in this order;
// close frees everything that has been opened, at any point.
type app struct {
	cfg     Config
	roles   roles
	log     *slog.Logger
	metrics *prometheus.Registry

	registry *registry.Registry
	layout   topic.Layout
	lake     *lake.Lake
	exports  *objects.Bucket
	proxies  clientaddr.Proxies // whose X-Forwarded-For is believed
	conns    *conns.Set
	dial     dialFunc     // of weir all, whose parts are this process
	full     func() error // why ingest cannot take more, or nil; a nil func means never full

	main, tail, admin net.Listener
	probes            []probe
	mux               *http.ServeMux // served on the main address
	operators         *http.ServeMux // served on the admin address
	services          services
	closers           []func() error // in the order of opening; close runs them backwards
}

// newApp does not use the network or the disk.
func (p *process) newApp(cfg Config, r roles) *app {
	a := &app{cfg: cfg, roles: r, log: p.logger(cfg.Log), metrics: prometheus.NewRegistry(), mux: http.NewServeMux()}
	a.proxies, _ = cfg.trustedProxies() // validate has reported its error
	a.conns = conns.New(conns.Config{
		MaxOpen: cfg.HTTP.MaxConnections, MaxPerAddress: cfg.HTTP.MaxPerAddress, MaxRequests: cfg.HTTP.MaxRequests, MaxAge: cfg.HTTP.MaxAge,
		MinRate: int64(cfg.HTTP.MinRate), RateGrace: cfg.HTTP.RateGrace, IdleTimeout: cfg.HTTP.IdleTimeout, Proxies: a.proxies,
	}, a.log, a.metrics)
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	if p.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.memoryLimit(r))
	}
	return a
}

// logger writes text on a terminal and JSON elsewhere, unless log.format says
// otherwise.
func (p *process) logger(cfg logConfig) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // unreachable: the setting accepts valid levels only
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "text" || cfg.Format == "auto" && isTerminal(p.stderr) {
		return slog.New(slog.NewTextHandler(p.stderr, opts))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, opts))
}

// ignoreCancel returns nil for the error of a start that a signal interrupted:
// the process was asked to end and exits with 0.
func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (a *app) onClose(f func() error) { a.closers = append(a.closers, f) }

// close closes everything, last opened first.
func (a *app) close() error {
	var errs []error
	for _, closer := range slices.Backward(a.closers) {
		errs = append(errs, closer())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// connect opens the listeners and what the services share. Listeners come first:
// an address in use is the most likely mistake and is found without any side
// effect.
func (a *app) connect(ctx context.Context) error {
	for _, step := range []struct {
		name   string
		wanted bool
		run    func(context.Context) error
	}{
		{"addresses", true, a.takeAddresses},
		{"registry", true, a.openRegistry},
		{"topic", a.roles.ingest || a.roles.processor, a.ensureTopic},
		{"lake", a.roles.processor || a.roles.query, a.openLake},
	} {
		started := time.Now()
		if !step.wanted {
			continue
		}
		if err := step.run(ctx); err != nil {
			return err
		}
		a.log.DebugContext(ctx, "start step done", "step", step.name, "took", time.Since(started))
	}
	return nil
}

// takeAddresses opens all listeners and reports every address that is in use.
func (a *app) takeAddresses(ctx context.Context) (err error) {
	take := func(setting, addr string, listen func(ctx context.Context, setting, addr string) (net.Listener, error)) net.Listener {
		l, e := listen(ctx, setting, addr)
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		// The HTTP server closes it first; this covers a start that fails before.
		a.onClose(func() error { _ = l.Close(); return nil })
		return l
	}
	a.main = take("listen", a.cfg.Listen, listen)
	a.admin = take("admin.listen", a.cfg.Admin.Listen, listenAdmin)
	if a.roles.processor {
		a.tail = take("processor.listen", a.cfg.Processor.Listen, listen)
	}
	return err
}

// openRegistry opens the database and migrates its schema. It fails when a newer
// binary has migrated it further.
func (a *app) openRegistry(ctx context.Context) (err error) {
	a.registry, err = registry.Connect(ctx, registry.Config{URL: a.cfg.Database.URL, CallTimeout: a.cfg.Database.CallTimeout, MaxNames: a.cfg.Ingest.MaxNames}, a.log)
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	a.onClose(a.registry.Close)
	a.metrics.MustRegister(callsTimedOut(a.registry))
	if !a.roles.query {
		return nil
	}
	return a.tellChanges(ctx)
}

// tellChanges says once for each database of an earlier version which answers are
// others now. It is said by a process that gives such answers.
func (a *app) tellChanges(ctx context.Context) error {
	due, err := registry.TakeNotice(ctx, a.registry, registry.NoticeEUIDAsRef)
	if err != nil {
		return fmt.Errorf("read what has changed: %w", err)
	}
	if due {
		a.log.WarnContext(ctx, "an EUID is no longer a refId or customerId of the User Events API, such requests get 404 User not found; "+
			"give clients a ref_id (POST /weir/v1/identities), or allow it: weir admin product set --id PRODUCT --euid-as-ref=true")
	}
	return nil
}

// ensureTopic creates the topic at the first start. Later it compares the topic
// with the layout that was recorded then, and fails when they differ: with another
// hash or number of shards, a client would have events in two shards.
func (a *app) ensureTopic(ctx context.Context) error {
	client, err := a.kafka()
	if err != nil {
		return err
	}
	defer client.Close()
	a.layout, err = topic.Ensure(ctx, client, a.registry, topic.Options{
		Shards: a.cfg.Topic.Shards, Replication: int16(a.cfg.Topic.Replication), MinISR: a.cfg.Topic.MinISR,
	})
	if err != nil {
		return fmt.Errorf("prepare the topic: %w", err)
	}
	warnings, err := topic.CheckRetention(ctx, client)
	if err != nil {
		return fmt.Errorf("check the topic: %w", err)
	}
	for _, w := range warnings {
		a.log.WarnContext(ctx, "topic may lose records", "why", w)
	}
	return nil
}

// openLake opens the lake for the services of this process.
func (a *app) openLake(ctx context.Context) error {
	opened, err := openStorage(ctx, a.cfg, a.registry, a.dial)
	if err != nil {
		return err
	}
	a.lake, a.exports = opened.lake, opened.exports
	a.onClose(func() error { opened.close(); return nil })
	a.metrics.MustRegister(storeStalls(opened))
	return nil
}

// build makes the services in the order in which they are started. The
// processor precedes query, which needs owners of shards for its answers, and
// the main server comes last.
func (a *app) build(ctx context.Context) error {
	a.operators = adminMux(a.metrics, nil, a.log)
	a.add("admin server", httpServer{name: "admin", listener: a.admin, handler: newAdminGuard(a.cfg.Admin, a.operators, a.metrics), cfg: a.cfg.HTTP, conns: a.conns, log: a.log}.run)
	if a.roles.processor || a.roles.query {
		a.add("readers", a.statePins)
	}
	for _, step := range []struct {
		wanted bool
		build  func(context.Context) error
	}{{a.roles.processor, a.buildProcessor}, {a.roles.query, a.buildQuery}, {a.roles.ingest, a.buildIngest}} {
		if !step.wanted {
			continue
		}
		if err := step.build(ctx); err != nil {
			return err
		}
	}
	if err := a.addDocuments(); err != nil {
		return err
	}
	addHealth(a.mux, a.probes, a.log)
	a.add("main server", httpServer{
		name: "main", listener: a.main, handler: a.mux,
		cert: a.cfg.TLS.Cert, key: a.cfg.TLS.Key, cfg: a.cfg.HTTP, conns: a.conns, log: a.log,
	}.run)
	return nil
}

// add appends a service. Services start in this order and stop in the reverse.
func (a *app) add(name string, run func(context.Context) error) {
	a.services = append(a.services, service{name, run})
}

// buildProcessor adds the processor and the server of its tail.
func (a *app) buildProcessor(context.Context) error {
	c := a.cfg.Processor
	svc, err := processor.New(processor.Config{
		ID: c.ID, Address: cmp.Or(c.Advertise, a.tail.Addr().String()), Secret: a.cfg.Cluster.Secret,
		CutAge: c.CutAge, GatherBytes: int64(c.GatherBytes),
		DedupeWindow: c.DedupeWindow, DedupeBytes: int64(c.DedupeBytes), Scratch: c.Scratch,
		LeaseTTL: c.LeaseTTL, DrainTimeout: c.DrainTimeout, CompactEvery: c.CompactEvery, CommitTimeout: c.CommitTimeout, MaxCutWait: c.MaxCutWait, MaxClockJump: c.MaxClockJump, KeepSnapshots: c.KeepSnapshots,
		Adopt: c.Adopt, AcceptLoss: c.AcceptLoss,
	}, processor.Deps{
		Registry: a.registry, Lake: a.lake, Kafka: a.kafka, Layout: a.layout, Log: a.log, Metrics: a.metrics, Clocks: a.clocks(),
		OldestRead: func(ctx context.Context) (time.Time, error) { return registry.OldestRead(ctx, a.registry) },
		AdoptRuns:  func(ctx context.Context) (bool, error) { return registry.AdoptFormat(ctx, a.registry, registry.Runs) },
	})
	if err != nil {
		return err
	}
	// Added before the processor, so stopped after it: query processes fetch the
	// tail until the last cut is in the lake.
	a.add("tail server", httpServer{name: "tail", listener: a.tail, handler: svc.Handler(), cfg: a.cfg.HTTP, conns: a.conns, log: a.log}.run)
	a.add("processor", svc.Run)
	a.probes = append(a.probes, probe{name: "processor", ready: func(context.Context) error { return svc.Ready() }, warn: func() string { return processor.Warning(svc) }})
	return nil
}

// buildQuery adds the query service and mounts its three APIs. Unless clients reach
// the object store themselves, it also mounts the proxy for downloads.
func (a *app) buildQuery(context.Context) error {
	c := a.cfg.Query
	tailClient := tail.NewClient(tail.Config{Secret: a.cfg.Cluster.Secret, Dial: a.dial})
	a.onClose(func() error { tailClient.Close(); return nil })
	svc, err := query.New(query.Config{
		Lookback: c.Lookback, ReachWait: c.ReachWait, MaxScans: c.MaxScans, MaxAnswers: c.MaxAnswers, ScanWait: c.ScanWait, ReadRate: int64(c.ReadRate),
		Cost: query.CostLimits{
			Counts: c.MaxCounts, Series: c.MaxSeries, AnswerBytes: int64(c.MaxAnswer), Conditions: c.MaxConditions, PatternBytes: c.MaxPattern,
			PatternSize: c.MaxProgram, MatchTime: c.MaxMatchTime, EventNames: c.MaxEventNames,
		},
		Logins: query.LoginLimits{
			Tries: c.LoginTries, TriesName: c.LoginTriesName, TriesAddress: c.LoginTriesAddress, Wait: c.LoginWait, Waiting: c.LoginWaiting,
		},
		ReportBytes: int64(c.ReportBytes), WriteStall: c.WriteStall, DownloadTTL: c.DownloadTTL, PublicEndpoint: c.PublicEndpoint,
		DirectLinks:    a.cfg.S3.Endpoint == "", // clients reach AWS themselves, so no proxy is mounted
		AllowedOrigins: c.AllowedOrigins,
		Origins:        c.Origins, Proxies: a.proxies, Builds: c.Builds, DayFiles: c.DayFiles, DeflateLevel: c.DeflateLevel, CloseEvery: c.CloseEvery,
	}, query.Deps{
		Registry: a.registry, Lake: a.lake, Exports: a.exports, Tail: tailClient, Log: a.log, Metrics: a.metrics,
	})
	if err != nil {
		return err
	}
	for _, prefix := range []string{"/v3/", "/api/v3/business/", "/analytics/"} {
		a.mux.Handle(prefix, svc.Handler())
	}
	if a.cfg.S3.Endpoint != "" && c.PublicEndpoint == "" {
		proxy, err := newDownloadProxy(a.cfg.S3.ExportBucket, a.cfg.S3.Endpoint, a.dial, a.log)
		if err != nil {
			return err
		}
		a.onClose(func() error { proxy.close(); return nil })
		a.mux.Handle("/"+a.cfg.S3.ExportBucket+"/", proxy)
	}
	a.add("query", svc.Run)
	a.probes = append(a.probes, probe{name: "query", ready: svc.Ready})
	return nil
}

// buildIngest mounts the Ingestion API. It has no goroutine to run, so it is no
// service of its own: the main server drains its requests.
func (a *app) buildIngest(context.Context) error {
	client, err := a.kafka(ingest.KafkaOpts()...)
	if err != nil {
		return err
	}
	a.onClose(func() error { client.Close(); return nil })
	c := a.cfg.Ingest
	svc, err := ingest.New(ingest.Config{
		MaxInFlight: c.MaxInFlight, MaxHeldBytes: int64(c.MaxHeldBytes), MaxSourceBytes: int64(c.MaxSourceBytes),
		MaxAccountBytes: int64(c.MaxAccountBytes), MaxUnackedBytes: int64(c.MaxUnackedBytes), Decoders: c.Decoders, QueueWait: c.QueueWait, MaxRegistrations: c.Registrations,
		ReadTimeout: c.ReadTimeout, PublishTimeout: c.PublishTimeout, AllowedOrigins: c.AllowedOrigins,
		GeoIP: c.GeoIP,
	}, ingest.Deps{
		Registry: a.registry, Kafka: client, Layout: a.layout, Full: a.full, Log: a.log, Metrics: a.metrics,
	})
	if err != nil {
		return err
	}
	a.mux.Handle("/v1/", svc.Handler())
	a.mux.Handle("/weir/v1/", svc.Handler())
	a.probes = append(a.probes, probe{name: "ingest", ready: svc.Ready})
	return nil
}

// addDocuments mounts the OpenAPI documents in processes that serve an API.
func (a *app) addDocuments() error {
	if !a.roles.ingest && !a.roles.query {
		return nil
	}
	documents, err := openapi.Handler()
	if err != nil {
		return fmt.Errorf("read the OpenAPI documents: %w", err)
	}
	a.mux.Handle("/openapi/", documents)
	return nil
}

// url returns the main address in a form that works on this machine.
func (a *app) url() string {
	scheme := "http"
	if a.cfg.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(a.main.Addr().String())
	if err != nil {
		return scheme + "://" + a.main.Addr().String()
	}
	if isWildcard(host) {
		host = "127.0.0.1"
		if name, err := os.Hostname(); err == nil && a.cfg.TLS.Cert != "" {
			host = name // a certificate rarely names 127.0.0.1
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
