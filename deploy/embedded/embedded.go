// Package embedded runs a Kafka broker and an S3 server inside the process of
// `weir all`, so that nothing else has to be installed. Both listen on loopback
// and store their data in one folder. The services use them over the network, by
// the same protocols as in a cluster; there is no second data path.
//
// The broker is kfake, the in-process Kafka that franz-go ships for tests, made
// durable: it keeps its log in files (kfake.DataDir) and answers a produce
// request after fsync (kfake.SyncWrites). That means:
//
//   - There is one broker and one copy of each record. Replication and leader
//     election do not exist.
//   - It is not Apache Kafka. It implements the requests that franz-go sends and
//     is tested with our clients only; do not connect other tools to it.
//   - It knows no TLS, so it listens on loopback only. Clients log in by SCRAM-SHA-256
//     before kfake reads a byte of theirs, and then may send the requests that Weir
//     sends: see guard and served.
//   - After a crash it reads the log into memory. The Janitor therefore keeps the
//     log small.
//   - It is meant for one process on one machine. A cluster needs a real Kafka:
//     run weir ingest, weir processor and weir query with kafka.brokers.
//
// The S3 server is versitygw over a folder of plain files.
//
// An acknowledged record or object survives kill -9, and a power failure if the
// disk honours fsync. It does not survive the loss of the disk, and kfake does
// not report a failing fsync. Data that must survive a disk belongs in a real
// Kafka and a real object store.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/deploy/conns"
	"weir/schemas/objects"
)

// Names within the data folder.
const (
	logFolder     = "log"        // the broker's log
	objectsFolder = "objects"    // the store's objects as plain files; one folder per bucket
	sidecarFolder = "sidecar"    // the store's metadata on file systems without extended attributes
	keysFile      = "s3.json"    // root keys of the store, 0600
	loginFile     = "kafka.json" // how to log in to the broker, 0600
)

// Config sets the folder and the addresses of the parts.
type Config struct {
	Dir          string        // data folder; the caller must have locked it with Lock
	ListenKafka  string        // host:port of the broker, loopback only; empty or port 0 picks a free one
	ListenS3     string        // host:port of the store, loopback only; empty or port 0 picks a free one
	LoginTimeout time.Duration // time for a connection to the broker to log in; 0 means 10s
	MaxLogins    int           // connections to the broker that have not logged in; 0 means 256
	Conns        *conns.Set    // limits of connections; nil: a set of its own
	Log          *slog.Logger  // nil discards
}

// Parts are the running broker and store.
type Parts struct {
	Kafka  string         // bootstrap address, host:port
	Login  Login          // of the broker
	S3     objects.Config // address and keys of the store
	LogDir string         // folder that holds the broker's log, for Janitor

	broker *broker
	store  *store
	ended  atomic.Pointer[error]
}

// Open starts the broker and the store. After success Close must be called. Only
// one Parts may be open in a process. The store changes the working directory of
// the process to its folder: other code must use absolute paths.
func Open(ctx context.Context, cfg Config) (*Parts, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", cfg.Dir, err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Conns == nil {
		cfg.Conns = conns.New(conns.Config{}, cfg.Log, nil)
	}
	cfg.Dir = dir
	b, err := startBroker(filepath.Join(dir, logFolder), cfg)
	if err != nil {
		return nil, err
	}
	s, err := startStore(ctx, cfg)
	if err != nil {
		b.close()
		return nil, err
	}
	return &Parts{Kafka: b.addr, Login: b.login, S3: s.clientConfig, LogDir: filepath.Join(dir, logFolder), broker: b, store: s}, nil
}

// Wait returns the error of the first part that stops without Close, or nil when ctx
// ends.
func (p *Parts) Wait(ctx context.Context) error {
	var err error
	select {
	case err = <-p.store.failed:
	case err = <-p.broker.guard.failed:
	case <-ctx.Done():
		return nil
	}
	p.ended.Store(&err)
	return err
}

// Ready returns why the parts do not serve, or nil. It knows what Wait has seen.
func (p *Parts) Ready() error {
	if err := p.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// Metrics are those of the broker's guard.
func (p *Parts) Metrics() prometheus.Collector { return p.broker.guard.refused }

// Close stops both. It writes nothing: everything acknowledged is on disk already.
func (p *Parts) Close() {
	p.store.close()
	p.broker.close()
}

// makeFolder creates a folder that only its owner can access.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	return nil
}
