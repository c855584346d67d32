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

// wiring is one process: its settings, what its services share, and the
// services. It is made in the order of its methods: newWiring, connect, build,
// run; close ends it at any point.
type wiring struct {
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
	members           crew
	closers           []func() error // in the order of opening
}

// newWiring reads no network and no disk.
func (p *process) newWiring(cfg Config, r roles) *wiring {
	w := &wiring{cfg: cfg, roles: r, log: p.logger(cfg.Log), metrics: prometheus.NewRegistry(), mux: http.NewServeMux()}
	w.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if cfg.Memory.Limit > 0 && p.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(cfg.Memory.Limit))
	}
	return w
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

// asked turns the error of a start that a signal broke off into none: the
// process was asked to end, and it does.
func asked(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (w *wiring) onClose(f func() error) { w.closers = append(w.closers, f) }

// close lets go of everything, last opened first.
func (w *wiring) close() error {
	var errs []error
	for _, closer := range slices.Backward(w.closers) {
		errs = append(errs, closer())
	}
	w.closers = nil
	return errors.Join(errs...)
}

// connect opens what the services share, and takes the addresses.
func (w *wiring) connect(ctx context.Context) error {
	for _, step := range []struct {
		name   string
		wanted bool
		run    func(context.Context) error
	}{
		{"addresses", true, w.takeAddresses},
		{"registry", true, w.openRegistry},
		{"topic", w.roles.ingest || w.roles.processor, w.ensureTopic},
		{"lake", w.roles.processor || w.roles.query, w.openLake},
	} {
		began := time.Now()
		if !step.wanted {
			continue
		}
		if err := step.run(ctx); err != nil {
			return err
		}
		w.log.DebugContext(ctx, "connected", "to", step.name, "took", time.Since(began))
	}
	return nil
}

func (w *wiring) takeAddresses(ctx context.Context) (err error) {
	take := func(setting, addr string) net.Listener {
		l, e := listen(ctx, setting, addr)
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		// Whoever serves it closes it first; then this has nothing to do.
		w.onClose(func() error { _ = l.Close(); return nil })
		return l
	}
	w.main = take("listen", w.cfg.Listen)
	w.admin = take("admin.listen", w.cfg.Admin.Listen)
	if w.roles.processor {
		w.tail = take("processor.listen", w.cfg.Processor.Listen)
	}
	return err
}

func (w *wiring) openRegistry(ctx context.Context) (err error) {
	w.registry, err = registry.Open(ctx, w.cfg.Database.URL, w.log)
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	w.onClose(w.registry.Close)
	return nil
}

func (w *wiring) ensureTopic(ctx context.Context) error {
	client, err := w.kafka()
	if err != nil {
		return err
	}
	defer client.Close()
	w.layout, err = topic.Ensure(ctx, client, w.registry, topic.Options{
		Shards: w.cfg.Topic.Shards, Replication: int16(w.cfg.Topic.Replication), MinISR: w.cfg.Topic.MinISR,
	})
	if err != nil {
		return fmt.Errorf("prepare the topic: %w", err)
	}
	return nil
}

func (w *wiring) openLake(ctx context.Context) error {
	opened, err := openLake(ctx, w.cfg, w.registry)
	if err != nil {
		return err
	}
	w.lake, w.exports = opened.lake, opened.exports
	w.onClose(func() error { opened.close(); return nil })
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
		return storage{}, fmt.Errorf("open the catalog: %w", err)
	}
	l, err := lake.Open(ctx, lake.Config{
		Bucket: cfg.S3.LakeBucket, Prefix: cfg.Lake.Prefix, Compression: cfg.Lake.Compression,
	}, cat, tables)
	if err != nil {
		return storage{}, fmt.Errorf("open the lake: %w", err)
	}
	return storage{l, exports, client.Close}, nil
}

// maxProduce is the largest request a client sends to a broker: the embedded
// broker closes the connection at 16 MiB.
const maxProduce = 15 << 20

// kafka makes a client of the cluster, with opts added.
func (w *wiring) kafka(opts ...kgo.Opt) (*kgo.Client, error) {
	return kafkaClient(w.cfg.Kafka, w.log, opts...)
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
	if login := saslOf(cfg); login != nil {
		base = append(base, kgo.SASL(login))
	}
	client, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("make a kafka client: %w", err)
	}
	return client, nil
}

func saslOf(cfg kafkaConfig) sasl.Mechanism {
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
func (w *wiring) build(ctx context.Context) error {
	w.operators = adminMux(w.metrics, nil, w.log)
	w.add("admin server", site{name: "admin", listener: w.admin, handler: w.operators, cfg: w.cfg.HTTP, log: w.log}.run)
	for _, step := range []struct {
		wanted bool
		build  func(context.Context) error
	}{{w.roles.processor, w.buildProcessor}, {w.roles.query, w.buildQuery}, {w.roles.ingest, w.buildIngest}} {
		if !step.wanted {
			continue
		}
		if err := step.build(ctx); err != nil {
			return err
		}
	}
	if err := w.addDocuments(); err != nil {
		return err
	}
	addHealth(w.mux, w.probes, w.log)
	w.add("main server", site{
		name: "main", listener: w.main, handler: w.mux,
		cert: w.cfg.TLS.Cert, key: w.cfg.TLS.Key, cfg: w.cfg.HTTP, log: w.log,
	}.run)
	return nil
}

func (w *wiring) add(name string, run func(context.Context) error) {
	w.members = append(w.members, member{name, run})
}

func (w *wiring) buildProcessor(context.Context) error {
	c := w.cfg.Processor
	service, err := processor.New(processor.Config{
		ID: c.ID, Address: cmp.Or(c.Advertise, w.tail.Addr().String()), Secret: w.cfg.Cluster.Secret,
		CutAge: c.CutAge, GatherBytes: int64(c.GatherBytes),
		DedupeWindow: c.DedupeWindow, DedupeBytes: int64(c.DedupeBytes), Scratch: c.Scratch,
		LeaseTTL: c.LeaseTTL, DrainTimeout: c.DrainTimeout, CompactEvery: c.CompactEvery, KeepSnapshots: c.KeepSnapshots,
		Adopt: c.Adopt, AcceptLoss: c.AcceptLoss,
	}, processor.Deps{
		Registry: w.registry, Lake: w.lake, Kafka: w.kafka, Layout: w.layout, Log: w.log, Metrics: w.metrics,
	})
	if err != nil {
		return err
	}
	// The tail is asked until the last cut is in the lake: its server goes last.
	w.add("tail server", site{name: "tail", listener: w.tail, handler: service.Handler(), cfg: w.cfg.HTTP, log: w.log}.run)
	w.add("processor", service.Run)
	w.probes = append(w.probes, probe{"processor", func(context.Context) error { return service.Ready() }})
	return nil
}

func (w *wiring) buildQuery(context.Context) error {
	c := w.cfg.Query
	asker := tail.NewClient(tail.Config{Secret: w.cfg.Cluster.Secret})
	w.onClose(func() error { asker.Close(); return nil })
	service, err := query.New(query.Config{
		Lookback: c.Lookback, ReachWait: c.ReachWait, MaxScans: c.MaxScans, ScanWait: c.ScanWait,
		ReportBytes: int64(c.ReportBytes), WriteStall: c.WriteStall, DownloadTTL: c.DownloadTTL, PublicEndpoint: c.PublicEndpoint,
		DirectLinks: w.cfg.S3.Endpoint == "", // AWS: clients reach it, and nothing is mounted here
		Origins:     c.Origins, TrustProxy: c.TrustProxy, Builds: c.Builds, DeflateLevel: c.DeflateLevel, CloseEvery: c.CloseEvery,
	}, query.Deps{
		Registry: w.registry, Lake: w.lake, Exports: w.exports, Tail: asker, Log: w.log, Metrics: w.metrics,
	})
	if err != nil {
		return err
	}
	for _, prefix := range []string{"/v3/", "/api/v3/business/", "/analytics/"} {
		w.mux.Handle(prefix, service.Handler())
	}
	if w.cfg.S3.Endpoint != "" && c.PublicEndpoint == "" {
		links, err := newLinks(w.cfg.S3.ExportBucket, w.cfg.S3.Endpoint, w.log)
		if err != nil {
			return err
		}
		w.onClose(func() error { links.close(); return nil })
		w.mux.Handle("/"+w.cfg.S3.ExportBucket+"/", links)
	}
	w.add("query", service.Run)
	w.probes = append(w.probes, probe{"query", service.Ready})
	return nil
}

func (w *wiring) buildIngest(context.Context) error {
	client, err := w.kafka(ingest.KafkaOpts()...)
	if err != nil {
		return err
	}
	w.onClose(func() error { client.Close(); return nil })
	c := w.cfg.Ingest
	service, err := ingest.New(ingest.Config{
		MaxInFlight: c.MaxInFlight, MaxHeldBytes: int64(c.MaxHeldBytes),
		ReadTimeout: c.ReadTimeout, PublishTimeout: c.PublishTimeout, AllowedOrigins: c.AllowedOrigins,
		GeoIP: c.GeoIP,
	}, ingest.Deps{
		Registry: w.registry, Kafka: client, Layout: w.layout, Full: w.full, Log: w.log, Metrics: w.metrics,
	})
	if err != nil {
		return err
	}
	w.mux.Handle("/v1/", service.Handler())
	w.probes = append(w.probes, probe{"ingest", service.Ready})
	return nil
}

// addDocuments mounts the documents of the contracts where any of them is
// served.
func (w *wiring) addDocuments() error {
	if !w.roles.ingest && !w.roles.query {
		return nil
	}
	documents, err := openapi.Handler()
	if err != nil {
		return fmt.Errorf("read the documents of the contracts: %w", err)
	}
	w.mux.Handle("/openapi/", documents)
	return nil
}

// url is the main address as a person on this machine writes it.
func (w *wiring) url() string {
	scheme := "http"
	if w.cfg.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(w.main.Addr().String())
	if err != nil {
		return scheme + "://" + w.main.Addr().String()
	}
	if everywhere(host) {
		host = "127.0.0.1"
		if name, err := os.Hostname(); err == nil && w.cfg.TLS.Cert != "" {
			host = name // the certificate hardly says 127.0.0.1
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
