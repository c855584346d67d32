package main

import (
	"cmp"
	"context"
	"crypto/tls"
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
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/ingest"
	"weir/processor"
	"weir/query"
	"weir/schemas/lake"
	"weir/schemas/objects"
	"weir/schemas/openapi"
	"weir/schemas/registry"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

// roles say which services a process runs.
type roles struct{ ingest, processor, query bool }

// app is one process: its settings, what its services share, and the
// services. It is made in the order of its methods: newApp, connect, build,
// run; close ends it at any point.
type app struct {
	cfg     Config
	roles   roles
	log     *slog.Logger
	metrics *prometheus.Registry

	registry *registry.Registry
	layout   topic.Layout
	lake     *lake.Lake
	exports  *objects.Bucket
	full     func() error // for ingest; nil is never

	main, tail, admin net.Listener
	probes            []probe
	mux               *http.ServeMux // of the main address
	operators         *http.ServeMux // of the admin address
	services          services
	closers           []func() error // in the order of opening
}

// newApp reads no network and no disk.
func (p *process) newApp(cfg Config, r roles) *app {
	a := &app{cfg: cfg, roles: r, log: p.logger(cfg.Log), metrics: prometheus.NewRegistry(), mux: http.NewServeMux()}
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if cfg.Memory.Limit > 0 && p.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(cfg.Memory.Limit))
	}
	return a
}

// logger writes for people on a terminal and for machines elsewhere.
func (p *process) logger(cfg logConfig) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // cannot be: the setting allows no other text
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "text" || cfg.Format == "auto" && isTerminal(p.stderr) {
		return slog.New(slog.NewTextHandler(p.stderr, opts))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, opts))
}

// ignoreCancel turns the error of a start that a signal broke off into none: the
// process was asked to end, and it does.
func ignoreCancel(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (a *app) onClose(f func() error) { a.closers = append(a.closers, f) }

// close lets go of everything, last opened first.
func (a *app) close() error {
	var errs []error
	for _, closer := range slices.Backward(a.closers) {
		errs = append(errs, closer())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// connect opens what the services share, and takes the addresses.
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
		began := time.Now()
		if !step.wanted {
			continue
		}
		if err := step.run(ctx); err != nil {
			return err
		}
		a.log.DebugContext(ctx, "connected", "to", step.name, "took", time.Since(began))
	}
	return nil
}

func (a *app) takeAddresses(ctx context.Context) (err error) {
	take := func(setting, addr string) net.Listener {
		l, e := listen(ctx, setting, addr)
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		// Whoever serves it closes it first; then this has nothing to do.
		a.onClose(func() error { _ = l.Close(); return nil })
		return l
	}
	a.main = take("listen", a.cfg.Listen)
	a.admin = take("admin.listen", a.cfg.Admin.Listen)
	if a.roles.processor {
		a.tail = take("processor.listen", a.cfg.Processor.Listen)
	}
	return err
}

func (a *app) openRegistry(ctx context.Context) (err error) {
	a.registry, err = registry.Open(ctx, a.cfg.Database.URL, a.log)
	if err != nil {
		return fmt.Errorf("open the registry: %a", err)
	}
	a.onClose(a.registry.Close)
	return nil
}

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
		return fmt.Errorf("prepare the topic: %a", err)
	}
	return nil
}

func (a *app) openLake(ctx context.Context) error {
	opened, err := openLake(ctx, a.cfg, a.registry)
	if err != nil {
		return err
	}
	a.lake, a.exports = opened.lake, opened.exports
	a.onClose(func() error { opened.close(); return nil })
	return nil
}

// storage is the object store as the services see it.
type storage struct {
	lake    *lake.Lake
	exports *objects.Bucket
	close   func()
}

// openLake makes buckets and tables that are missing.
func openLake(ctx context.Context, cfg Config, reg *registry.Registry) (storage, error) {
	client, err := objects.Open(ctx, objects.Config{
		Endpoint: cfg.S3.Endpoint, Region: cfg.S3.Region,
		AccessKey: cfg.S3.AccessKey, SecretKey: cfg.S3.SecretKey, PathStyle: cfg.S3.PathStyle,
	})
	if err != nil {
		return storage{}, err
	}
	tables, exports := client.Bucket(cfg.S3.LakeBucket), client.Bucket(cfg.S3.ExportBucket)
	if err := errors.Join(tables.Ensure(ctx), exports.Ensure(ctx)); err != nil {
		return storage{}, err
	}
	cat, err := lake.SQLCatalog(reg.DB(), reg.Dialect(), cfg.S3.LakeBucket, tables)
	if err != nil {
		return storage{}, fmt.Errorf("open the catalog: %a", err)
	}
	l, err := lake.Open(ctx, lake.Config{
		Bucket: cfg.S3.LakeBucket, Prefix: cfg.Lake.Prefix, Compression: cfg.Lake.Compression,
	}, cat, tables)
	if err != nil {
		return storage{}, fmt.Errorf("open the lake: %a", err)
	}
	return storage{l, exports, client.Close}, nil
}

// maxProduce is the largest request a client sends to a broker: the embedded
// broker closes the connection at 16 MiB.
const maxProduce = 15 << 20

// kafka makes a client of the cluster, with opts added.
func (a *app) kafka(opts ...kgo.Opt) (*kgo.Client, error) {
	return kafkaClient(a.cfg.Kafka, a.log, opts...)
}

func kafkaClient(cfg kafkaConfig, log *slog.Logger, opts ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("weir"),
		kgo.BrokerMaxWriteBytes(maxProduce),
		kgo.WithLogger(kafkaLog{log}),
	}
	if cfg.TLS {
		base = append(base, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if login := saslMechanism(cfg); login != nil {
		base = append(base, kgo.SASL(login))
	}
	client, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("make a kafka client: %a", err)
	}
	return client, nil
}

func saslMechanism(cfg kafkaConfig) sasl.Mechanism {
	switch cfg.SASL {
	case "plain":
		return plain.Auth{User: cfg.User, Pass: cfg.Password}.AsMechanism()
	case "scram-sha-256":
		return scram.Auth{User: cfg.User, Pass: cfg.Password}.AsSha256Mechanism()
	case "scram-sha-512":
		return scram.Auth{User: cfg.User, Pass: cfg.Password}.AsSha512Mechanism()
	}
	return nil
}

// kafkaLog lets the Kafka client speak through our log, where it is worth it.
type kafkaLog struct{ log *slog.Logger }

// Level is the least that the client should tell.
func (kafkaLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log has the library's signature.
func (l kafkaLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	ours := slog.LevelWarn
	if level == kgo.LogLevelError {
		ours = slog.LevelError
	}
	l.log.Log(context.Background(), ours, "kafka client", append([]any{"detail", msg}, keyvals...)...)
}

// build makes the services. What answers must wait for (a processor that owns
// its shards) is started before what answers.
func (a *app) build(ctx context.Context) error {
	a.operators = adminMux(a.metrics, nil, a.log)
	a.add("admin server", httpServer{name: "admin", listener: a.admin, handler: a.operators, cfg: a.cfg.HTTP, log: a.log}.run)
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
		cert: a.cfg.TLS.Cert, key: a.cfg.TLS.Key, cfg: a.cfg.HTTP, log: a.log,
	}.run)
	return nil
}

func (a *app) add(name string, run func(context.Context) error) {
	a.services = append(a.services, service{name, run})
}

func (a *app) buildProcessor(context.Context) error {
	c := a.cfg.Processor
	svc, err := processor.New(processor.Config{
		ID: c.ID, Address: cmp.Or(c.Advertise, a.tail.Addr().String()), Secret: a.cfg.Cluster.Secret,
		CutAge: c.CutAge, GatherBytes: int64(c.GatherBytes),
		DedupeWindow: c.DedupeWindow, DedupeBytes: int64(c.DedupeBytes), Scratch: c.Scratch,
		LeaseTTL: c.LeaseTTL, DrainTimeout: c.DrainTimeout, CompactEvery: c.CompactEvery, KeepSnapshots: c.KeepSnapshots,
		Adopt: c.Adopt, AcceptLoss: c.AcceptLoss,
	}, processor.Deps{
		Registry: a.registry, Lake: a.lake, Kafka: a.kafka, Layout: a.layout, Log: a.log, Metrics: a.metrics,
	})
	if err != nil {
		return err
	}
	// The tail is asked until the last cut is in the lake: its server goes last.
	a.add("tail server", httpServer{name: "tail", listener: a.tail, handler: svc.Handler(), cfg: a.cfg.HTTP, log: a.log}.run)
	a.add("processor", svc.Run)
	a.probes = append(a.probes, probe{"processor", func(context.Context) error { return svc.Ready() }})
	return nil
}

func (a *app) buildQuery(context.Context) error {
	c := a.cfg.Query
	tailClient := tail.NewClient(tail.Config{Secret: a.cfg.Cluster.Secret})
	a.onClose(func() error { tailClient.Close(); return nil })
	svc, err := query.New(query.Config{
		Lookback: c.Lookback, ReachWait: c.ReachWait, MaxScans: c.MaxScans, ScanWait: c.ScanWait,
		ReportBytes: int64(c.ReportBytes), WriteStall: c.WriteStall, DownloadTTL: c.DownloadTTL, PublicEndpoint: c.PublicEndpoint,
		DirectLinks: a.cfg.S3.Endpoint == "", // AWS: clients reach it, and nothing is mounted here
		Origins:     c.Origins, TrustProxy: c.TrustProxy, Builds: c.Builds, DeflateLevel: c.DeflateLevel, CloseEvery: c.CloseEvery,
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
		links, err := newDownloadProxy(a.cfg.S3.ExportBucket, a.cfg.S3.Endpoint, a.log)
		if err != nil {
			return err
		}
		a.onClose(func() error { links.close(); return nil })
		a.mux.Handle("/"+a.cfg.S3.ExportBucket+"/", links)
	}
	a.add("query", svc.Run)
	a.probes = append(a.probes, probe{"query", svc.Ready})
	return nil
}

func (a *app) buildIngest(context.Context) error {
	client, err := a.kafka(ingest.KafkaOpts()...)
	if err != nil {
		return err
	}
	a.onClose(func() error { client.Close(); return nil })
	c := a.cfg.Ingest
	svc, err := ingest.New(ingest.Config{
		MaxInFlight: c.MaxInFlight, MaxHeldBytes: int64(c.MaxHeldBytes),
		ReadTimeout: c.ReadTimeout, PublishTimeout: c.PublishTimeout, AllowedOrigins: c.AllowedOrigins,
		GeoIP: c.GeoIP,
	}, ingest.Deps{
		Registry: a.registry, Kafka: client, Layout: a.layout, Full: a.full, Log: a.log, Metrics: a.metrics,
	})
	if err != nil {
		return err
	}
	a.mux.Handle("/v1/", svc.Handler())
	a.probes = append(a.probes, probe{"ingest", svc.Ready})
	return nil
}

// addDocuments mounts the documents of the contracts where any of them is
// served.
func (a *app) addDocuments() error {
	if !a.roles.ingest && !a.roles.query {
		return nil
	}
	documents, err := openapi.Handler()
	if err != nil {
		return fmt.Errorf("read the documents of the contracts: %a", err)
	}
	a.mux.Handle("/openapi/", documents)
	return nil
}

// url is the main address as a person on this machine writes it.
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
			host = name // the certificate hardly says 127.0.0.1
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
