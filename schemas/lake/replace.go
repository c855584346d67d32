package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// ErrInputsGone says that a file to be replaced is no longer in the table:
// another compaction has replaced it, and its rows are in other files now.
var ErrInputsGone = errors.New("data files to replace are gone")

// Replace puts files in the place of old ones, whose rows they hold, and
// changes nothing else of the table: the shard states are copied unchanged from
// the load that the commit is built on. Each attempt looks for the old files
// again, since putting the rows of a file that is gone back into the table
// would duplicate them; then it returns ErrInputsGone. After any other error
// the result is unknown, and to call Replace again with the same files is safe.
func (l *Lake) Replace(ctx context.Context, t Table, old, files []DataFile) error {
	if err := l.checkReplacement(t, old, files); err != nil {
		return fmt.Errorf("replace in %s: %w", t, err)
	}
	st := l.tables[t]
	st.commitMu.Lock()
	defer st.commitMu.Unlock()

	err := l.retryCommit(ctx, func() (string, error) {
		base, err := l.Load(ctx, t)
		if err != nil {
			return "", err
		}
		done, err := base.checkInputs(ctx, old, files)
		if done || err != nil {
			return base.metadataLocation, err
		}
		return base.metadataLocation, commitSnapshot(ctx, base, base.shards, func(tx *table.Transaction, summary iceberg.Properties) error {
			return base.stageRewrite(ctx, tx, old, files, summary)
		})
	})
	if err != nil {
		return fmt.Errorf("replace in %s: %w", t, err)
	}
	return nil
}

// checkReplacement refuses what would lose rows: another number of rows in a
// table whose row has rowGuard, rows of another shard, and files that are old
// enough for DeleteOrphans to delete them.
func (l *Lake) checkReplacement(t Table, old, files []DataFile) error {
	if len(old) == 0 {
		return errors.New("no files to replace")
	}
	before, after := rowsByShard(old), rowsByShard(files)
	for shard, rows := range before {
		if guarded := l.tables[t].rowGuard; guarded && after[shard] != rows {
			return fmt.Errorf("shard %d has %d rows, would have %d", shard, rows, after[shard])
		}
	}
	oldest := time.Now().Add(-l.cfg.MaxCutAge)
	for _, f := range files {
		if _, ok := before[f.Shard]; !ok {
			return fmt.Errorf("file %s is of shard %d, which is not replaced", f.Path, f.Shard)
		}
		if f.written == nil || f.written.at.Before(oldest) {
			return fmt.Errorf("file %s is too old to be put in place", f.Path)
		}
	}
	return nil
}

// rowsByShard adds up the rows of files.
func rowsByShard(files []DataFile) map[int32]int64 {
	rows := map[int32]int64{}
	for _, f := range files {
		rows[f.Shard] += f.Rows
	}
	return rows
}

// checkInputs reports whether the replacement is done already, by an attempt
// whose result was unknown. It returns ErrInputsGone when it can no longer be
// done.
func (s *Snapshot) checkInputs(ctx context.Context, old, files []DataFile) (done bool, err error) {
	live, err := s.Files(ctx)
	if err != nil {
		return false, err
	}
	paths := make(map[string]bool, len(live))
	for _, f := range live {
		paths[f.Path] = true
	}
	if len(files) > 0 && paths[files[0].Path] {
		return true, nil // one commit puts all of them in place
	}
	for _, f := range old {
		if !paths[f.Path] {
			return false, fmt.Errorf("%w: %s", ErrInputsGone, f.Path)
		}
	}
	return false, nil
}

// stageRewrite stages the replacement. If no row is lost it is a replace, which
// Iceberg defines to change files and no rows. Rows of rollups merge into fewer;
// that is an overwrite to whoever reads the changes of the table.
func (s *Snapshot) stageRewrite(ctx context.Context, tx *table.Transaction, old, files []DataFile, summary iceberg.Properties) error {
	entries, err := s.entries(ctx, old)
	if err != nil {
		return err
	}
	if rowsOfFiles(old) != rowsOfFiles(files) {
		return tx.ReplaceDataFilesWithDataFiles(ctx, entries, icebergFiles(files), summary, table.WithoutAutoNameMapping())
	}
	rewrite := tx.NewRewrite(summary)
	for _, e := range entries {
		rewrite.DeleteFile(e)
	}
	for _, e := range icebergFiles(files) {
		rewrite.AddDataFile(e)
	}
	return rewrite.Commit(ctx)
}

// rowsOfFiles returns how many rows files have together.
func rowsOfFiles(files []DataFile) (rows int64) {
	for _, f := range files {
		rows += f.Rows
	}
	return rows
}

// entries reads again how the manifests describe files, which must be live in s.
// It leaves out manifests that are known to have none of them.
func (s *Snapshot) entries(ctx context.Context, files []DataFile) ([]iceberg.DataFile, error) {
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Path] = true
	}
	manifests, err := s.tbl.CurrentSnapshot().Manifests(fileIO{ctx: ctx, store: s.lake.store})
	if err != nil {
		return nil, err
	}
	var entries []iceberg.DataFile
	for _, m := range manifests {
		if !s.lake.tables[s.table].mayList(m, wanted) {
			continue
		}
		for entry, err := range m.Entries(fileIO{ctx: ctx, store: s.lake.store}, true) {
			if err != nil {
				return nil, fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			if wanted[objectKey(entry.DataFile().FilePath())] {
				entries = append(entries, entry.DataFile())
			}
		}
	}
	if len(entries) != len(wanted) {
		return nil, fmt.Errorf("%w: %d of %d are in manifests", ErrInputsGone, len(entries), len(wanted))
	}
	return entries, nil
}

// mayList reports whether m may list a data file of wanted.
func (st *tableState) mayList(m iceberg.ManifestFile, wanted map[string]bool) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	files, known := st.manifests[m.FilePath()]
	return !known || slices.ContainsFunc(files, func(f DataFile) bool { return wanted[f.Path] })
}
