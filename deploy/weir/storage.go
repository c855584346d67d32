package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"weir/schemas/lake"
	"weir/schemas/objects"
	"weir/schemas/registry"
)

// dialFunc makes connections; nil is the usual way.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// storage is what the services use of the object store.
type storage struct {
	lake    *lake.Lake
	exports *objects.Bucket
	client  *objects.Client
	close   func()
}

// openStorage opens the lake and the export bucket. It creates buckets and tables
// that are missing.
func openStorage(ctx context.Context, cfg Config, reg *registry.Registry, dial dialFunc) (storage, error) {
	client, err := objects.Open(ctx, objects.Config{
		Endpoint: cfg.S3.Endpoint, Region: cfg.S3.Region,
		AccessKey: cfg.S3.AccessKey, SecretKey: cfg.S3.SecretKey, PathStyle: cfg.S3.PathStyle,
		StallTimeout: cfg.S3.StallTimeout, MinRate: int64(cfg.S3.MinRate), Dial: dial,
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
		FooterBytes: cmp.Or(int64(cfg.Lake.FooterBytes), -1), // 0 keeps none
	}, cat, tables)
	if err != nil {
		return storage{}, fmt.Errorf("open the lake: %w", err)
	}
	return storage{l, exports, client, client.Close}, nil
}

// withLake calls use with the settings, the registry and the storage of a data
// folder or cluster, and closes everything afterwards. The settings lead to the
// broker, too.
func withLake(ctx context.Context, cfg Config, log *slog.Logger, use func(Config, *registry.Registry, storage) error) (err error) {
	cfg, done, err := attach(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	reg, err := openRegistry(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	store, err := openStorage(ctx, cfg, reg, nil)
	if err != nil {
		return err
	}
	defer store.close()
	return use(cfg, reg, store)
}
