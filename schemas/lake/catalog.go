package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// namespace is the Iceberg namespace of the tables, and the catalog's name.
const namespace = "weir"

// Catalog is the part of an Iceberg catalog that the lake needs. Every
// catalog.Catalog is one.
type Catalog interface {
	CreateNamespace(ctx context.Context, namespace table.Identifier, props iceberg.Properties) error
	CreateTable(ctx context.Context, ident table.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error)
	LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error)
	CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error)
}

// Pointers keeps, for each table, the location of its newest metadata file. The
// pointers are the one part of an Iceberg catalog that must change atomically.
type Pointers interface {
	// Prepare creates what the other methods need.
	Prepare(ctx context.Context) error
	// Location returns where the metadata of a table is, "" when there is no
	// such table.
	Location(ctx context.Context, name string) (string, error)
	// Insert adds a table; catalog.ErrTableAlreadyExists when it is there
	// already.
	Insert(ctx context.Context, name, location string) error
	// Swap moves a table from one location to the next; table.ErrCommitFailed
	// when the table is not at from. After any other error it may have moved.
	Swap(ctx context.Context, name, from, to string) error
}

// NewCatalog returns the catalog of the tables whose pointers p keeps. It
// differs from the catalogs of iceberg-go in two ways. It writes to store
// instead of a process-wide registry of file systems. And it never deletes the
// metadata of a failed attempt: the swap may have been applied although its
// answer was lost, and then that file is the table.
func NewCatalog(p Pointers, store ObjectStore) Catalog {
	return &pointerCatalog{pointers: p, store: store, latest: map[string]*table.Table{}}
}

// pointerCatalog implements Catalog on Pointers and an ObjectStore.
type pointerCatalog struct {
	pointers Pointers
	store    ObjectStore

	mu     sync.Mutex              // guards latest
	latest map[string]*table.Table // last table seen, by name; metadata files never change
}

// CreateNamespace prepares the pointers; there is one namespace.
func (c *pointerCatalog) CreateNamespace(ctx context.Context, _ table.Identifier, _ iceberg.Properties) error {
	return c.pointers.Prepare(ctx)
}

// CreateTable writes the first metadata of a table and points to it.
func (c *pointerCatalog) CreateTable(ctx context.Context, ident table.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error) {
	cfg := catalog.NewCreateTableCfg()
	for _, opt := range opts {
		opt(&cfg)
	}
	meta, err := table.NewMetadata(schema, cfg.PartitionSpec, cfg.SortOrder, cfg.Location, cfg.Properties)
	if err != nil {
		return nil, fmt.Errorf("describe table %s: %w", ident, err)
	}
	location, err := c.putMetadata(ctx, meta, 0)
	if err != nil {
		return nil, err
	}
	if err := c.pointers.Insert(ctx, tableName(ident), location); err != nil {
		return nil, fmt.Errorf("insert table %s: %w", ident, err)
	}
	return c.LoadTable(ctx, ident)
}

// LoadTable returns the newest state of a table. It reads the metadata file
// only when the pointer has moved since the last load.
func (c *pointerCatalog) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	name := tableName(ident)
	for attempt := 1; ; attempt++ {
		location, err := c.pointers.Location(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("find table %s: %w", name, err)
		}
		if location == "" {
			return nil, fmt.Errorf("%w: %s", catalog.ErrNoSuchTable, name)
		}
		if tbl := c.cachedTable(name, location); tbl != nil {
			return tbl, nil
		}
		tbl, err := table.NewFromLocation(ctx, ident, location, fileSystem(c.store), c)
		if err == nil {
			c.cacheTable(name, tbl)
			return tbl, nil
		}
		// After the pointer was read, others may have committed so often that
		// they deleted the metadata file it named: read the pointer again.
		if !errors.Is(err, fs.ErrNotExist) || attempt == 5 {
			return nil, fmt.Errorf("read table %s: %w", name, err)
		}
	}
}

// CommitTable applies updates to the newest metadata if it meets reqs.
// table.ErrCommitFailed says that it does not meet them, or that another commit
// came first; after any other error this commit may have been applied.
func (c *pointerCatalog) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	current, err := c.LoadTable(ctx, ident)
	if err != nil {
		return nil, "", err
	}
	for _, r := range reqs {
		if err := r.Validate(current.Metadata()); err != nil {
			return nil, "", fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
		}
	}
	next, err := updateMetadata(current, updates)
	if err != nil {
		return nil, "", fmt.Errorf("update table %s: %w", ident, err)
	}
	location, err := c.putMetadata(ctx, next, metadataVersion(current.MetadataLocation())+1)
	if err != nil {
		return nil, "", err
	}
	name := tableName(ident)
	// The swap is the point of no return: before it nobody sees the new metadata
	// file, after it every reader does. It fails if another commit has moved the
	// pointer. After any other error nobody knows, so the file stays.
	if err := c.pointers.Swap(ctx, name, current.MetadataLocation(), location); err != nil {
		return nil, "", fmt.Errorf("swap table %s: %w", name, err)
	}
	c.cacheTable(name, table.New(ident, next, location, fileSystem(c.store), c))
	c.deleteOldMetadata(ctx, current.Metadata(), next)
	return next, location, nil
}

// updateMetadata returns the metadata of current after updates.
func updateMetadata(current *table.Table, updates table.Updates) (table.Metadata, error) {
	updates, err := detach(updates)
	if err != nil {
		return nil, err
	}
	b, err := table.MetadataBuilderFromBase(current.Metadata(), current.MetadataLocation())
	if err != nil {
		return nil, err
	}
	b.TrimMetadataLogs(metadataInUse(current.Metadata()))
	for _, u := range updates {
		if err := u.Apply(b); err != nil {
			return nil, err
		}
	}
	return b.Build()
}

// metadataInUse returns how many of the metadata files that meta lists, the last
// ones, were written since its oldest snapshot. Another engine that began on one
// of them may still open it.
func metadataInUse(meta table.Metadata) (n int) {
	oldest := int64(0)
	for _, s := range meta.Snapshots() {
		if oldest == 0 || s.TimestampMs < oldest {
			oldest = s.TimestampMs
		}
	}
	for e := range meta.PreviousFiles() {
		if e.TimestampMs >= oldest {
			n++
		}
	}
	return n
}

// detach returns updates as a catalog behind HTTP would get them. In memory, a
// new snapshot points into the transaction that made it, that to the metadata it
// was begun on, and so on: the newest table would keep every commit before it in
// memory, with all its snapshots and data files.
func detach(updates table.Updates) (detached table.Updates, err error) {
	body, err := json.Marshal(updates)
	if err != nil {
		return nil, fmt.Errorf("encode updates: %w", err)
	}
	if err := json.Unmarshal(body, &detached); err != nil {
		return nil, fmt.Errorf("decode updates: %w", err)
	}
	return detached, nil
}

// putMetadata writes meta under a unique name and returns its location.
func (c *pointerCatalog) putMetadata(ctx context.Context, meta table.Metadata, version int) (string, error) {
	locations, err := table.LoadLocationProvider(meta.Location(), meta.Properties())
	if err != nil {
		return "", fmt.Errorf("locate table at %s: %w", meta.Location(), err)
	}
	location, err := locations.NewTableMetadataFileLocation(version)
	if err != nil {
		return "", fmt.Errorf("name metadata of %s: %w", meta.Location(), err)
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(meta); err != nil {
		return "", fmt.Errorf("encode metadata %s: %w", location, err)
	}
	if err := c.store.Put(ctx, objectKey(location), body.Bytes()); err != nil {
		return "", fmt.Errorf("put metadata %s: %w", location, err)
	}
	return location, nil
}

// deleteOldMetadata deletes the metadata files that base listed and next no
// longer does. What it fails to delete becomes an orphan.
func (c *pointerCatalog) deleteOldMetadata(ctx context.Context, base, next table.Metadata) {
	listed := map[string]bool{}
	for e := range next.PreviousFiles() {
		listed[e.MetadataFile] = true
	}
	var old []string
	for e := range base.PreviousFiles() {
		if !listed[e.MetadataFile] {
			old = append(old, objectKey(e.MetadataFile))
		}
	}
	if len(old) > 0 {
		_ = c.store.Delete(ctx, old...)
	}
}

// cachedTable returns the table as it was last seen, if that was at location;
// otherwise nil.
func (c *pointerCatalog) cachedTable(name, location string) *table.Table {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tbl := c.latest[name]; tbl != nil && tbl.MetadataLocation() == location {
		return tbl
	}
	return nil
}

func (c *pointerCatalog) cacheTable(name string, tbl *table.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latest[name] = tbl
}

func tableName(ident table.Identifier) string { return ident[len(ident)-1] }

// metadataVersion returns the number that a metadata file's name begins with.
func metadataVersion(location string) int {
	number, _, _ := strings.Cut(path.Base(location), "-")
	version, err := strconv.Atoi(number)
	if err != nil {
		return 0 // another engine chose the name; the number is only for people
	}
	return version
}

// maxMetadataFiles is how many old metadata files a table lists at most. They
// live as long as its snapshots: see metadataInUse. The limit is for what that
// does not bound, which is a version that knows the limit alone.
const maxMetadataFiles = "10000"

// ident returns the name of t in the catalog.
func ident(t Table) table.Identifier { return table.Identifier{namespace, string(t)} }

// tableProperties returns the properties that a table is created with.
func tableProperties(schema *iceberg.Schema) (iceberg.Properties, error) {
	names, err := json.Marshal(schema.NameMapping())
	if err != nil {
		return nil, fmt.Errorf("encode name mapping: %w", err)
	}
	return iceberg.Properties{
		table.PropertyFormatVersion:               "2",
		table.CommitNumRetriesKey:                 "0", // retryCommit checks the offsets again first; a blind retry could apply a stale cut
		table.ManifestMergeEnabledKey:             "true",
		table.ManifestMinMergeCountKey:            "30",
		table.ManifestTargetSizeBytesKey:          "1048576", // bytes that one merge of manifests rewrites at most
		table.MetadataDeleteAfterCommitEnabledKey: "true",
		table.MetadataPreviousVersionsMaxKey:      maxMetadataFiles,
		table.DefaultNameMappingKey:               string(names), // set once, so that no commit adds it
	}, nil
}
