// Package lake keeps Weir's Iceberg tables on object storage. It creates the
// tables, writes and merges data files, commits data files together with the
// offsets of the shards they came from, and plans and scans them for queries.
//
// It promises that a snapshot shows the rows of a shard up to an offset exactly
// once, whatever process crashes or commits at the same time: see Commit, and
// schemas/DESIGN.md "A commit" and "After an error". It needs an object store
// whose objects are never overwritten and a catalog that swaps one pointer per
// table atomically. After an error the result of a write is unknown; repeating
// the same call is safe and tells the result.
//
// The facts of a table stand in tables.go, its layout in Parquet is package
// parquet's.
package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// ObjectStore keeps the lake's files. An object is written once, under a unique
// name, and never overwritten, so what was read of it may be cached. A missing
// object is fs.ErrNotExist.
type ObjectStore interface {
	Put(ctx context.Context, key string, body []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	GetRange(ctx context.Context, key string, off, n int64) ([]byte, error)
	Stat(ctx context.Context, key string) (size int64, err error)
	Delete(ctx context.Context, keys ...string) error
	List(ctx context.Context, prefix string) iter.Seq2[columns.Object, error]
}

// Config says where the tables are stored and how commits are made.
type Config struct {
	Bucket      string           // bucket of all tables; required
	Prefix      string           // folder inside the bucket; "" puts the tables at its root
	Compression string           // of Parquet pages: "zstd", "snappy", "none"; "" means zstd
	MaxCutAge   time.Duration    // a cut sealed longer ago is dropped, since its files may be deleted as orphans; 0 means 24h
	Attempts    int              // how often a commit is tried in all; 0 means 20
	Memory      memory.Allocator // allocates the batches of scans; nil means Go's heap, and a buffer pool for rollups
	CacheBytes  int64            // of small data files kept in memory; 0 means 32 MiB, negative keeps none
	FooterBytes int64            // of parsed footers of data files kept in memory, about; 0 means 64 MiB, negative keeps none
	Backoff     time.Duration    // longest wait after the first conflict, doubling up to 64 times it; 0 means 5ms
}

func (c Config) withDefaults() Config {
	c.Prefix = strings.Trim(c.Prefix, "/")
	c.Compression = cmp.Or(c.Compression, "zstd")
	c.MaxCutAge = cmp.Or(c.MaxCutAge, 24*time.Hour)
	c.Attempts = cmp.Or(c.Attempts, 20)
	c.CacheBytes = cmp.Or(c.CacheBytes, 32<<20)
	c.FooterBytes = cmp.Or(c.FooterBytes, 64<<20)
	c.Backoff = cmp.Or(c.Backoff, 5*time.Millisecond)
	return c
}

// Lake is the set of tables under one namespace of a catalog. It is safe for
// concurrent use. In one process there must be one Lake for a set of tables: a
// second one would commit beside the first, and the two would spend their time
// on each other's conflicts.
type Lake struct {
	cfg    Config
	cat    Catalog
	store  ObjectStore
	files  *dataFiles // for scans
	tables map[Table]*tableState

	pins pins

	memory, rollupMemory memory.Allocator // allocate the batches of scans
}

// tableState is the row of facts of a table, what follows from it, and what
// this process remembers of the table.
type tableState struct {
	tableRow

	columns *arrow.Schema
	layout  []parquet.Column // of data files
	bounds  boundColumns

	commitMu sync.Mutex                      // held while committing: one committer per process and table, since rivals only cause each other conflicts
	encoder  atomic.Pointer[parquet.Encoder] // one that no data file uses; its buffers are worth keeping
	encoders sync.Pool                       // *parquet.Encoder, further ones, until the next garbage collections

	mu        sync.Mutex            // guards the fields below
	latest    *Snapshot             // newest snapshot this process has loaded; nil before the first
	manifests map[string][]DataFile // slices of one slice: files of each manifest of the last snapshot listed, by location; a manifest never changes
}

// Open creates the namespace and the tables and columns that are missing, and
// returns the lake. A table lies at s3://bucket/prefix/table. Several processes may open
// the same lake at once.
func Open(ctx context.Context, cfg Config, cat Catalog, store ObjectStore) (*Lake, error) {
	return openTables(ctx, cfg, cat, store, tables())
}

// openTables is Open for the tables of rows; tests open those of another version.
func openTables(ctx context.Context, cfg Config, cat Catalog, store ObjectStore, rows []tableRow) (*Lake, error) {
	l := &Lake{cfg: cfg.withDefaults(), cat: cat, store: store, tables: map[Table]*tableState{}, pins: pins{held: map[*Snapshot]*pin{}}}
	l.files = &dataFiles{store: newObjectCache(store, l.cfg.CacheBytes), footers: newLRUCache[*parquet.File](l.cfg.FooterBytes)}
	if l.memory, l.rollupMemory = cfg.Memory, cfg.Memory; cfg.Memory == nil {
		l.memory, l.rollupMemory = memory.DefaultAllocator, &bufferPool{Allocator: memory.DefaultAllocator}
	}
	if l.cfg.Bucket == "" {
		return nil, errors.New("open lake: no bucket given")
	}
	err := cat.CreateNamespace(ctx, table.Identifier{namespace}, nil)
	if err != nil && !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		return nil, fmt.Errorf("create namespace %s: %w", namespace, err)
	}
	for _, row := range rows {
		if err := l.openTable(ctx, row); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// openTable creates the table of row if it is missing. A table that exists gets
// the columns that it lacks, and keeps its spec and sort order.
func (l *Lake) openTable(ctx context.Context, row tableRow) error {
	t, arrowSchema := row.table, row.schema()
	schema := icebergSchema(arrowSchema)
	bounds, err := findBoundColumns(schema)
	if err != nil {
		return fmt.Errorf("open table %s: %w", t, err)
	}
	st := &tableState{tableRow: row, columns: arrowSchema, layout: columnLayout(arrowSchema, row.sort), bounds: bounds}
	l.tables[t] = st
	_, err = l.cat.LoadTable(ctx, ident(t))
	if err == nil {
		_, err = l.Load(ctx, t)
		return errors.Join(err, addColumns(ctx, l, t, schema), keepMetadata(ctx, l, t))
	}
	if !errors.Is(err, catalog.ErrNoSuchTable) {
		return fmt.Errorf("open table %s: %w", t, err)
	}
	props, err := tableProperties(schema)
	if err != nil {
		return fmt.Errorf("create table %s: %w", t, err)
	}
	order, err := sortOrder(arrowSchema, row.sort)
	if err != nil {
		return fmt.Errorf("create table %s: %w", t, err)
	}
	spec := row.before.spec(arrowSchema) // for processes of a version that knows no other: see EvolveLayout
	_, err = l.cat.CreateTable(ctx, ident(t), schema, catalog.WithLocation(l.uri(l.tableKey(t))),
		catalog.WithPartitionSpec(&spec), catalog.WithSortOrder(order), catalog.WithProperties(props))
	if err != nil && !errors.Is(err, catalog.ErrTableAlreadyExists) { // another process may have been first
		return fmt.Errorf("create table %s: %w", t, err)
	}
	_, err = l.Load(ctx, t)
	return err
}

// tableKey returns the object key of the folder of t, without a slash at its
// end.
func (l *Lake) tableKey(t Table) string {
	if l.cfg.Prefix == "" {
		return string(t)
	}
	return l.cfg.Prefix + "/" + string(t)
}

// uri returns Iceberg's name for the object at key.
func (l *Lake) uri(key string) string { return "s3://" + l.cfg.Bucket + "/" + key }

// objectKey returns the key of the object that Iceberg names by uri.
func objectKey(uri string) string {
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return strings.TrimPrefix(uri, "/")
	}
	_, key, _ := strings.Cut(rest, "/")
	return key
}
