package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"

	"weir/deploy/embedded"
	"weir/processor"
	"weir/schemas/topic"
)

// helpAll lists every setting, generated from Config.
func helpAll() string {
	var b strings.Builder
	b.WriteString(`usage: weir all [--data DIR] [--listen HOST:PORT] [--SETTING VALUE]...

Runs everything in one process: an embedded Kafka broker and an embedded S3
server on loopback, SQLite, and the three services of a cluster, which use the
same protocols as there. All data is in one folder.

The first start makes an account, a product, a data source, a user and a token
to try things with, prints how, and keeps them in DIR/demo.json. One process
per folder: a second one is refused.

SIGTERM or Ctrl-C drains requests in flight, then writes what has been gathered,
then stops the embedded parts. A kill loses nothing that was acknowledged.

Settings (a.b_c is the flag --a.b-c, the variable WEIR_A_B_C, and a.b_c of the
YAML file that --config names):

`)
	var cfg Config
	settings, sections := listSettings(&cfg)
	for _, s := range settings {
		for len(sections) > 0 && strings.HasPrefix(s.key, sections[0].key+".") {
			fmt.Fprintf(&b, "\n %s\n", sections[0].help)
			sections = sections[1:]
		}
		def := ""
		if s.def != "" {
			def = " [" + s.def + "]"
		}
		fmt.Fprintf(&b, "  %-28s %s%s\n", s.flag(), s.help+s.choices(), def)
	}
	return b.String()
}

// runAll runs the three services over embedded parts until ctx ends. The folder
// is locked before anything in it is opened and unlocked after everything is
// closed: deferred calls run in the reverse order.
func runAll(ctx context.Context, p *process, args []string) (err error) {
	cfg, err := p.loadAll(args)
	if err != nil {
		return err
	}
	unlock, err := openFolder(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = ignoreCancel(ctx, errors.Join(err, unlock())) }()

	if err := removeRunFile(cfg.Data); err != nil { // left by a server that was killed
		return err
	}

	a := p.newApp(cfg, roles{ingest: true, processor: true, query: true})
	parts, err := embedded.Open(ctx, embedded.Config{
		Dir: cfg.Data, ListenKafka: cfg.Embedded.KafkaListen, ListenS3: cfg.Embedded.S3Listen,
		LoginTimeout: cfg.Embedded.LoginTimeout, MaxLogins: cfg.Embedded.MaxLogins, Conns: a.conns, Log: a.log,
	})
	if err != nil {
		return err
	}
	defer parts.Close()

	// From here on the process is like one of a cluster: its services know the
	// embedded parts by their addresses only.
	a.cfg = withEmbeddedParts(cfg, cfg.Data, runInfo{Kafka: parts.Kafka, Login: parts.Login, S3: parts.S3})
	a.dial = a.conns.Dial
	defer func() { err = errors.Join(err, a.close()) }()
	return p.serveAll(ctx, a, parts)
}

// loadAll loads the settings of `weir all`, refuses those that only a cluster has,
// and fills in what one process can choose itself.
func (p *process) loadAll(args []string) (Config, error) {
	cfg, rest, err := p.load(args, nil)
	if err != nil {
		return cfg, err
	}
	var foreign []error
	for key, set := range map[string]bool{
		"kafka.brokers": len(cfg.Kafka.Brokers) > 0, "s3.endpoint": cfg.S3.Endpoint != "", "database.url": cfg.Database.URL != "",
	} {
		if set {
			foreign = append(foreign, fmt.Errorf("%s is set, but weir all brings its own: run weir ingest, processor and query instead", key))
		}
	}
	if cfg.Topic.Shards > embedded.MaxShards {
		foreign = append(foreign, fmt.Errorf("topic.shards is %d, the embedded broker takes up to %d", cfg.Topic.Shards, embedded.MaxShards))
	}
	if err := errors.Join(append(foreign, cfg.validate(), noArguments(rest))...); err != nil {
		return cfg, usageError{err}
	}
	if cfg.Cluster.Secret == "" {
		cfg.Cluster.Secret = randomText(32) // query and processor are both this process
	}
	if cfg.Processor.ID == "" {
		cfg.Processor.ID = "all" // unique thanks to the lock of the folder; a constant id gets its shards back at once after a restart
	}
	if cfg.Processor.Scratch == "" {
		cfg.Processor.Scratch = filepath.Join(cfg.Data, scratchDir)
	}
	return cfg, nil
}

// serveAll connects and builds the services, makes the demo account at a first
// start, and serves until ctx ends.
func (p *process) serveAll(ctx context.Context, a *app, parts *embedded.Parts) error {
	if err := os.MkdirAll(a.cfg.Processor.Scratch, 0o700); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil {
		return err
	}
	// The demo account is made before any service runs, so that the first request
	// of the banner's commands finds it.
	made, err := ensureDemo(ctx, a.registry, a.cfg.Data, a.url())
	if err != nil {
		return fmt.Errorf("make the demo account: %w", err)
	}
	if err := a.addJanitor(parts); err != nil {
		return err
	}
	a.metrics.MustRegister(parts.Metrics())
	a.add("embedded parts", func(ctx context.Context) error {
		err := parts.Wait(ctx)
		if err != nil {
			a.log.ErrorContext(ctx, "an embedded part has ended, the process ends too", "err", err)
		}
		return err
	})
	a.probes = append(a.probes, probe{name: "embedded parts", ready: func(context.Context) error { return parts.Ready() }})
	if err := a.build(ctx); err != nil {
		return err
	}
	a.operators.HandleFunc("GET /check", a.serveBalance)
	a.add("banner", func(ctx context.Context) error {
		a.printBannerWhenReady(ctx, p, made)
		<-ctx.Done()
		return nil
	})
	// Written last: admin and check connect as soon as they find the file.
	if err := writeRunFile(a.cfg.Data, runInfo{
		PID: os.Getpid(), Version: version(), URL: a.url(), Admin: adminAddress(a.admin), Kafka: parts.Kafka, Login: parts.Login, S3: parts.S3,
	}); err != nil {
		return err
	}
	return errors.Join(a.services.run(ctx), removeRunFile(a.cfg.Data))
}

// addJanitor adds the service that keeps the embedded log small. It is started
// first and so stopped last: its final run can delete what the last cut of the
// processor has committed.
func (a *app) addJanitor(parts *embedded.Parts) error {
	client, err := a.kafka()
	if err != nil {
		return err
	}
	a.onClose(func() error { client.Close(); return nil })
	janitor := embedded.NewJanitor(embedded.JanitorConfig{
		Topic: topic.Name, LogCap: int64(a.cfg.Embedded.LogCap), MinFree: int64(a.cfg.Embedded.MinFree),
	}, embedded.JanitorDeps{
		Dir: parts.LogDir, Admin: kadm.NewClient(client), Log: a.log,
		Committed: func(ctx context.Context) (map[int32]int64, error) { return processor.CommittedOffsets(ctx, a.lake) },
	})
	a.full = janitor.Full
	a.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_embedded_log_waiting_bytes", Help: "Bytes of the embedded log that are not in the lake yet.",
	}, func() float64 { return float64(janitor.UncommittedBytes()) }))
	a.add("janitor", func(ctx context.Context) error {
		err := janitor.Run(ctx)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyWait)
		defer cancel()
		if err := janitor.Clean(last); err != nil {
			a.log.WarnContext(ctx, "embedded log not trimmed at shutdown, the next start will do it", "err", err)
		}
		return err
	})
	return nil
}

// printBannerWhenReady prints the banner once every service is ready. Secrets go
// to the terminal and to demo.json, never to the log.
func (a *app) printBannerWhenReady(ctx context.Context, p *process, made *demo) {
	p.print("weir is starting on %s, data in %s\nmetrics and profiles on %s\n", a.url(), a.cfg.Data, adminURL(a.admin))
	started := time.Now()
	for {
		if _, why := readiness(ctx, a.probes); why == nil {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
	a.log.InfoContext(ctx, "server ready", "url", a.url(), "admin", adminAddress(a.admin), "waited", time.Since(started).Round(time.Millisecond), "version", version())
	banner := demoHint(a.cfg.Data, a.url())
	if made != nil {
		banner = made.banner(a.cfg.Data, isTerminal(p.stdout))
	}
	p.print("weir is ready on %s\n%s", a.url(), banner)
	debug.FreeOSMemory() // the broker read the whole log at its start; returns that memory to the system
}
