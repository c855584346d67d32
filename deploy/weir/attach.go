package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir/deploy/embedded"
	"weir/schemas/objects"
)

// runInfo is the content of run.json, with which other commands reach the server.
type runInfo struct {
	PID     int            `json:"pid"`
	Version string         `json:"version"`
	URL     string         `json:"url"`
	Admin   string         `json:"admin"`       // host:port of metrics, profiles and the balance
	Kafka   string         `json:"kafka"`       // host:port of the embedded broker
	Login   embedded.Login `json:"kafka_login"` // of the embedded broker; empty if the server is of a version without
	S3      objects.Config `json:"s3"`          // the embedded store, keys included
}

// writeRunFile writes run.json after every listener is open, so that a command
// that finds it can connect.
func writeRunFile(dir string, r runInfo) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return embedded.WriteFile(filepath.Join(dir, runFile), append(text, '\n'), 0o600)
}

// removeRunFile removes run.json, which is valid only while the server runs.
func removeRunFile(dir string) error {
	if err := os.Remove(filepath.Join(dir, runFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// startWait is how long a command waits for a server that is starting.
const startWait = 30 * time.Second

// attach returns settings with which a command reaches the log and the store of
// cfg.Data: those of the running server, or, when none runs, embedded parts that
// it starts for the caller. The caller must call done. A cfg with database.url
// belongs to a cluster and is returned unchanged.
func attach(ctx context.Context, cfg Config, log *slog.Logger) (_ Config, done func() error, err error) {
	if cfg.Database.URL != "" {
		return cfg, func() error { return nil }, nil
	}
	if err := inspectFolder(cfg.Data); err != nil {
		return cfg, nil, err
	}
	r, unlock, err := connectOrLock(ctx, cfg.Data)
	if err != nil {
		return cfg, nil, err
	}
	if unlock == nil { // a server runs: use its broker and store
		return withEmbeddedParts(cfg, cfg.Data, r), func() error { return nil }, nil
	}
	parts, err := embedded.Open(ctx, embedded.Config{Dir: cfg.Data, Log: log})
	if err != nil {
		return cfg, nil, errors.Join(err, unlock())
	}
	done = func() error { parts.Close(); return unlock() }
	return withEmbeddedParts(cfg, cfg.Data, runInfo{Kafka: parts.Kafka, Login: parts.Login, S3: parts.S3}), done, nil
}

// connectOrLock returns how to reach the server on dir. When no server runs it
// returns the lock of dir instead, which keeps one from starting. It waits for a
// server that has the lock but has not written run.json yet.
func connectOrLock(ctx context.Context, dir string) (r runInfo, unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		unlock, err := embedded.Lock(dir)
		if !errors.Is(err, embedded.ErrLocked) {
			return r, unlock, err
		}
		text, err := readFolderFile(dir, runFile)
		if err == nil {
			err = json.Unmarshal(text, &r)
			return r, nil, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return r, nil, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return r, nil, fmt.Errorf("the server on %s does not come up: %w", dir, ctx.Err())
		}
	}
}

// withEmbeddedParts returns cfg with the broker and the store at the addresses of
// r and with the database of dir. Replication is 1, since there is one broker.
func withEmbeddedParts(cfg Config, dir string, r runInfo) Config {
	cfg.Kafka = kafkaConfig{Brokers: []string{r.Kafka}, SASL: "none", RequestTimeout: cfg.Kafka.RequestTimeout}
	if r.Login != (embedded.Login{}) {
		cfg.Kafka.SASL, cfg.Kafka.User, cfg.Kafka.Password = "scram-sha-256", r.Login.User, r.Login.Password
	}
	cfg.S3.Endpoint, cfg.S3.Region, cfg.S3.PathStyle = r.S3.Endpoint, r.S3.Region, true
	cfg.S3.AccessKey, cfg.S3.SecretKey = r.S3.AccessKey, r.S3.SecretKey
	cfg.Database.URL = databaseURL(dir)
	cfg.Topic.Replication, cfg.Topic.MinISR = 1, 1
	return cfg
}
