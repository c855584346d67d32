package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"golang.org/x/sync/errgroup"
)

// manifestReaders is how many manifests one listing reads at once.
const manifestReaders = 8

// Snapshot is one state of one table. It never changes and may be shared.
type Snapshot struct {
	table            Table
	lake             *Lake
	tbl              *table.Table // the load it was read from; a commit is built on this very load
	metadataLocation string       // metadata location
	id               int64
	shards           ShardStates
	division         division // of what is written next
	committedAt      time.Time
	live             int // snapshots of the table, this one included

	mu     sync.Mutex // guards the fields below
	listed bool
	files  []DataFile // set once listed
}

// ID returns Iceberg's snapshot id; 0 for a table without a snapshot.
func (s *Snapshot) ID() int64 { return s.id }

// ShardStates returns the state of every shard. The caller must not change it.
func (s *Snapshot) ShardStates() ShardStates { return s.shards }

// Time returns when the snapshot was committed; zero for a table without one.
func (s *Snapshot) Time() time.Time { return s.committedAt }

// Runs reports whether new data files are runs, and the spec of those; see EvolveLayout.
func (s *Snapshot) Runs() (runs bool, spec int32) {
	return s.division.runs, int32(s.division.spec.ID())
}

// LiveSnapshots returns how many snapshots t had when this process last loaded it.
// Each of them is in the metadata that a commit writes.
func LiveSnapshots(l *Lake, t Table) int {
	st := l.tables[t]
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.latest == nil {
		return 0
	}
	return st.latest.live
}

// Load returns the newest snapshot of t. It costs one catalog query when
// nothing has changed since the last load.
func (l *Lake) Load(ctx context.Context, t Table) (*Snapshot, error) {
	tbl, err := l.cat.LoadTable(ctx, ident(t))
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", t, err)
	}
	st := l.tables[t]
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.latest != nil && st.latest.metadataLocation == tbl.MetadataLocation() {
		return st.latest, nil
	}
	s, err := l.newSnapshot(t, tbl)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", t, err)
	}
	st.latest = s
	return s, nil
}

// newSnapshot returns the current snapshot of tbl. It replaces the file system
// that the catalog gave tbl by ours, which never deletes.
func (l *Lake) newSnapshot(t Table, tbl *table.Table) (*Snapshot, error) {
	s := &Snapshot{table: t, lake: l, metadataLocation: tbl.MetadataLocation(), shards: ShardStates{}}
	s.tbl = table.New(tbl.Identifier(), tbl.Metadata(), s.metadataLocation, fileSystem(l.store), l.cat)
	s.division = l.tables[t].divisionOf(tbl.Metadata())
	current := s.tbl.CurrentSnapshot()
	if current == nil {
		return s, nil
	}
	s.id, s.committedAt = current.SnapshotID, time.UnixMilli(current.TimestampMs)
	s.live = len(s.tbl.Metadata().Snapshots())
	v, err := readShardStates(s.tbl.Metadata(), current)
	if err != nil {
		return nil, err
	}
	s.shards = v
	return s, nil
}

// readShardStates reads the shard states of a snapshot from its summary.
// Another engine that rewrites files does not copy them and does not move
// offsets either, so then those of the nearest ancestor that has some hold.
func readShardStates(meta table.Metadata, at *table.Snapshot) (ShardStates, error) {
	id := at.SnapshotID
	for at != nil {
		if text, ok := at.Summary.Properties[shardStatesProperty]; ok {
			v := ShardStates{}
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				return nil, fmt.Errorf("read shard states of snapshot %d: %w", at.SnapshotID, err)
			}
			return v, nil
		}
		if at.ParentSnapshotID == nil {
			break
		}
		at = meta.SnapshotByID(*at.ParentSnapshotID)
	}
	return nil, fmt.Errorf("snapshot %d and its ancestors carry no shard states", id)
}

// Files lists the data files. It reads them once per snapshot. The caller must
// not change the slice.
func (s *Snapshot) Files(ctx context.Context) ([]DataFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listed {
		return s.files, nil
	}
	files, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list data files of %s, snapshot %d: %w", s.table, s.id, err)
	}
	s.files, s.listed = files, true
	return files, nil
}

// list reads the manifests that the table's last listing did not have, and
// takes the others from memory.
func (s *Snapshot) list(ctx context.Context) ([]DataFile, error) {
	current := s.tbl.CurrentSnapshot()
	if current == nil {
		return nil, nil
	}
	manifests, err := current.Manifests(fileIO{ctx: ctx, store: s.lake.store})
	if err != nil {
		return nil, err
	}
	st := s.lake.tables[s.table]
	st.mu.Lock()
	known := st.manifests
	st.mu.Unlock()

	lists := make([][]DataFile, len(manifests))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(manifestReaders)
	for i, m := range manifests {
		if files, ok := known[m.FilePath()]; ok {
			lists[i] = files
			continue
		}
		g.Go(func() (err error) {
			lists[i], err = s.readManifest(gctx, m)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	files := slices.Concat(lists...)
	now, from := make(map[string][]DataFile, len(manifests)), 0
	for i, m := range manifests {
		to := from + len(lists[i])
		now[m.FilePath()], from = files[from:to:to], to // shares files: each is in memory once
	}
	st.mu.Lock()
	st.manifests = now
	st.mu.Unlock()
	return files, nil
}

// readManifest lists the live data files of one manifest. It refuses delete
// files, which only another engine could have added: scans would show the
// deleted rows.
func (s *Snapshot) readManifest(ctx context.Context, m iceberg.ManifestFile) ([]DataFile, error) {
	if m.ManifestContent() != iceberg.ManifestContentData {
		return nil, fmt.Errorf("manifest %s has delete files, which Weir does not apply", m.FilePath())
	}
	columns := s.lake.tables[s.table].bounds
	var files []DataFile
	for entry, err := range m.Entries(fileIO{ctx: ctx, store: s.lake.store}, true) {
		if err != nil {
			return nil, fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
		}
		f, err := columns.dataFile(entry.DataFile(), m.PartitionSpecID())
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}
