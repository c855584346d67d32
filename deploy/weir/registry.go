package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"weir/schemas/registry"
)

// openRegistry opens the registry of a cluster or of the data folder. SQLite
// allows this also while a server runs on the folder.
func openRegistry(ctx context.Context, cfg Config, log *slog.Logger) (*registry.Registry, error) {
	url := cfg.Database.URL
	if url == "" {
		if err := inspectFolder(cfg.Data); err != nil {
			return nil, err
		}
		url = databaseURL(cfg.Data)
	}
	return registry.Connect(ctx, registry.Config{URL: url, CallTimeout: cfg.Database.CallTimeout}, log)
}

// databaseURL is the SQLite database of a data folder, for server and commands
// alike: SQLite itself serialises their writes.
func databaseURL(dir string) string { return "sqlite:" + filepath.Join(dir, databaseFile) }
