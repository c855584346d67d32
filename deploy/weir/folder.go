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
	"strings"
	"time"

	"weir/deploy/embedded"
	"weir/schemas/objects"
	"weir/schemas/registry"
)

// What lies in a data folder beside the parts of embedded.
const (
	formatFile   = "format.json" // which version of weir's format the folder has
	runFile      = "run.json"    // how to reach the server that runs on it, 0600
	demoFile     = "demo.json"   // what the first start made, 0600
	databaseFile = "weir.db"     // SQLite: registry and catalog
	scratchDir   = "scratch"     // may be lost at any time
)

// dataFormat is the version of the folder's layout that this weir writes. It
// is raised when an older weir could no longer read what a newer one wrote.
const dataFormat = 1

// readFolderFile reads one of the files above.
func readFolderFile(dir, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the operator names the folder
}

type folderFormat struct {
	Format int `json:"format"`
}

// openFolder takes the data folder for this process and makes it if need be.
func openFolder(dir string) (unlock func() error, err error) {
	if err := inspectFolder(dir); err != nil && !errors.Is(err, errNoFolder) {
		return nil, err
	}
	unlock, err = embedded.Lock(dir)
	if err != nil {
		return nil, err
	}
	if err := claimFolder(dir); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// claimFolder writes the format into a new folder. It is called under the lock.
func claimFolder(dir string) error {
	err := inspectFolder(dir)
	if !errors.Is(err, errNoFolder) {
		return err
	}
	text, err := json.Marshal(folderFormat{dataFormat})
	if err != nil {
		return err
	}
	return embedded.WriteFile(filepath.Join(dir, formatFile), text, 0o600)
}

// errNoFolder means that there is nothing yet, and that it may be made.
var errNoFolder = errors.New("no weir data folder")

// inspectFolder tells whether this weir can work with dir.
func inspectFolder(dir string) error {
	text, err := readFolderFile(dir, formatFile)
	if errors.Is(err, fs.ErrNotExist) {
		return emptyFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("read the format of %s: %w", dir, err)
	}
	var f folderFormat
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("read %s of %s: %w", formatFile, dir, err)
	}
	if f.Format > dataFormat {
		return fmt.Errorf("data folder %s has format %d and this weir knows %d: use the newer weir that wrote it", dir, f.Format, dataFormat)
	}
	return nil
}

// emptyFolder refuses to move into a folder that holds somebody else's files.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, errNoFolder)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		// A start that was killed may have left the lock and a half-written format.
		if name := e.Name(); name != "lock" && name != "lost+found" && !strings.HasPrefix(name, "."+formatFile) {
			return fmt.Errorf("%s is not a weir data folder and not empty (%s): choose another --data", dir, name)
		}
	}
	return fmt.Errorf("%s: %w", dir, errNoFolder)
}

// runInfo is what run.json tells the commands that work beside the server.
type runInfo struct {
	PID     int            `json:"pid"`
	Version string         `json:"version"`
	URL     string         `json:"url"`
	Admin   string         `json:"admin"` // host:port of metrics, profiles and the balance
	Kafka   string         `json:"kafka"` // host:port of the embedded broker
	S3      objects.Config `json:"s3"`    // the embedded store, keys included
}

func writeRunFile(dir string, r runInfo) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return embedded.WriteFile(filepath.Join(dir, runFile), append(text, '\n'), 0o600)
}

// removeRunFile removes what only holds while a server runs.
func removeRunFile(dir string) error {
	if err := os.Remove(filepath.Join(dir, runFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// withEmbeddedParts turns the settings of a cluster into those of one process
// on dir. The broker and the store stand where r says.
func withEmbeddedParts(cfg Config, dir string, r runInfo) Config {
	cfg.Kafka = kafkaConfig{Brokers: []string{r.Kafka}, SASL: "none"}
	cfg.S3.Endpoint, cfg.S3.Region, cfg.S3.PathStyle = r.S3.Endpoint, r.S3.Region, true
	cfg.S3.AccessKey, cfg.S3.SecretKey = r.S3.AccessKey, r.S3.SecretKey
	cfg.Database.URL = databaseURL(dir)
	cfg.Topic.Replication, cfg.Topic.MinISR = 1, 1
	return cfg
}

func databaseURL(dir string) string { return "sqlite:" + filepath.Join(dir, databaseFile) }

// startWait is how long who works beside a server waits for it to come up.
const startWait = 30 * time.Second

// attach makes cfg reach the parts of cfg.Data: those of the running server,
// or, when none runs, parts that it starts for the caller alone. A cfg that
// names a database of its own is a cluster's and stays as it is.
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
	if unlock == nil {
		return withEmbeddedParts(cfg, cfg.Data, r), func() error { return nil }, nil
	}
	parts, err := embedded.Open(ctx, embedded.Config{Dir: cfg.Data, Log: log})
	if err != nil {
		return cfg, nil, errors.Join(err, unlock())
	}
	done = func() error { parts.Close(); return unlock() }
	return withEmbeddedParts(cfg, cfg.Data, runInfo{Kafka: parts.Kafka, S3: parts.S3}), done, nil
}

// connectOrLock returns how to reach the server on dir, or, when there is
// none, the lock that keeps one away. A server that is starting is waited for.
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

// openRegistry opens the registry that cfg means: that of a cluster, or the one
// in the data folder, beside a running server or without one.
func openRegistry(ctx context.Context, cfg Config, log *slog.Logger) (*registry.Registry, error) {
	url := cfg.Database.URL
	if url == "" {
		if err := inspectFolder(cfg.Data); err != nil {
			return nil, err
		}
		url = databaseURL(cfg.Data)
	}
	return registry.Open(ctx, url, log)
}
