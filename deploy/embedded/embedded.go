// Package embedded is what `weir all` runs inside its own process so that
// nothing else need be installed: a Kafka broker and an S3 server, both on
// loopback, both keeping their bytes in one data folder. The services talk to
// them over the network like to any other; nothing here is a second data path.
//
// What it promises: an acknowledged record or object survives kill -9 and a
// power cut on a disk that honours fsync. What it does not: it is one machine
// and one disk, and the broker does not report a failing fsync. What must
// survive a disk belongs into a real Kafka and a real object store.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"weir/schemas/objects"
)

// Folder names within the data folder.
const (
	logFolder     = "log"     // of the broker
	objectsFolder = "objects" // of the store: one folder a bucket, objects as plain files
	sidecarFolder = "sidecar" // of the store where the file system has no extended attributes
	keysFile      = "s3.json" // root keys of the store, 0600
)

// Config says where the parts keep their bytes and where they listen.
type Config struct {
	Dir         string       // data folder; it must exist and be locked by the caller (Lock)
	ListenKafka string       // host:port of the broker, loopback only; empty or port 0 picks a free one
	ListenS3    string       // host:port of the store, loopback only; empty or port 0 picks a free one
	Log         *slog.Logger // nil discards
}

// Parts are the running broker and store.
type Parts struct {
	Kafka  string         // bootstrap address
	S3     objects.Config // how to reach the store
	LogDir string         // folder that holds the broker's log, for Janitor

	broker *broker
	store  *store
}

// Open starts the broker and the store. Close must be called when it
// succeeds. Only one can be open in a process, and the process stands in the
// store's folder from then on: paths must be absolute.
func Open(ctx context.Context, cfg Config) (*Parts, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", cfg.Dir, err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
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
	return &Parts{Kafka: b.addr, S3: s.clientConfig, LogDir: filepath.Join(dir, logFolder), broker: b, store: s}, nil
}

// Failed yields the error of a part that has stopped by itself.
func (p *Parts) Failed() <-chan error { return p.store.failed }

// Close stops both. What was acknowledged is on disk before and after it.
func (p *Parts) Close() {
	p.store.close()
	p.broker.close()
}

// makeFolder makes a folder that only its owner may enter.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	return nil
}
