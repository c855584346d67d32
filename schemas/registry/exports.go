package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ExportFile describes one build of an export: the events of a product and kind that
// arrived on a range of days.
type ExportFile struct {
	Product   int64
	Kind      string    // "cust", "exc", "raw"
	First     string    // YYYY-MM-DD, UTC
	Last      string    // inclusive; First for a daily file
	Version   int64     // 0 is temporary, replaced by the next build; 1 and up are permanent
	Key       string    // of the object
	Rows      int64     // events, without the header
	CSVBytes  int64     // before compression
	ZipBytes  int64     // size of the object
	Watermark string    // watermark that it was built at
	Built     time.Time // in microseconds
}

// exportColumns are the columns in the order of scanExport and ExportFile.values.
const exportColumns = `product_id, kind, first_day, last_day, version, object_key, row_count, csv_bytes, zip_bytes, watermark, built`

// Exports lists the newest version of each file of a product and kind, oldest day
// first.
func (r *Registry) Exports(ctx context.Context, product int64, kind string) ([]ExportFile, error) {
	files, err := queryAll(ctx, r.db, scanExport, `SELECT `+exportColumns+` FROM export_files f
		WHERE product_id = $1 AND kind = $2 AND version = (SELECT MAX(version) FROM export_files n
			WHERE n.product_id = f.product_id AND n.kind = f.kind AND n.first_day = f.first_day AND n.last_day = f.last_day)
		ORDER BY first_day, last_day`, product, kind)
	if err != nil {
		return nil, fmt.Errorf("list %s exports of product %d: %w", kind, product, err)
	}
	return files, nil
}

// ExportsWithin lists the newest version of each closed file of all products between
// two days, both inclusive.
func (r *Registry) ExportsWithin(ctx context.Context, first, last string) ([]ExportFile, error) {
	files, err := queryAll(ctx, r.db, scanExport, `SELECT `+exportColumns+` FROM export_files f
		WHERE first_day >= $1 AND last_day <= $2 AND version > 0 AND version = (SELECT MAX(version) FROM export_files n
			WHERE n.product_id = f.product_id AND n.kind = f.kind AND n.first_day = f.first_day AND n.last_day = f.last_day)
		ORDER BY product_id, kind, first_day, last_day`, first, last)
	if err != nil {
		return nil, fmt.Errorf("list exports from %s to %s: %w", first, last, err)
	}
	return files, nil
}

func scanExport(row *sql.Rows) (ExportFile, error) {
	var f ExportFile
	var built int64
	err := row.Scan(&f.Product, &f.Kind, &f.First, &f.Last, &f.Version, &f.Key, &f.Rows, &f.CSVBytes, &f.ZipBytes, &f.Watermark, &built)
	f.Built = fromMicros(built)
	return f, err
}

// BeginExport records an object before it is uploaded, so that the object is deleted
// after keep if the build never completes. Called again, it changes when that is.
func (r *Registry) BeginExport(ctx context.Context, key string, keep time.Duration) error {
	return r.scheduleDelete(ctx, r.db, key, keep)
}

// scheduleDelete schedules the deletion of an object after keep. The name of the
// table, export_leavings, is older than that of the function.
func (r *Registry) scheduleDelete(ctx context.Context, q querier, key string, keep time.Duration) error {
	now, err := r.clock(ctx, q)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `INSERT INTO export_leavings (object_key, delete_after) VALUES ($1, $2)
		ON CONFLICT (object_key) DO UPDATE SET delete_after = excluded.delete_after`, key, toMicros(now.Add(keep)))
	if err != nil {
		return fmt.Errorf("schedule deletion of object %s: %w", key, err)
	}
	return nil
}

// SaveExport records a closed file and cancels the deletion of its object. If the
// version exists already, it returns ErrExists, and the object of the later build
// stays scheduled for deletion.
func (r *Registry) SaveExport(ctx context.Context, f ExportFile) error {
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := execRequired(ctx, tx, ErrExists, insertExport+` ON CONFLICT DO NOTHING`, f.values()...); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM export_leavings WHERE object_key = $1`, f.Key)
		return err
	})
	if err != nil {
		return fmt.Errorf("record export %s: %w", f.Key, err)
	}
	return nil
}

// SaveTemporaryExport records a build of the file of an open day and replaces the
// previous build. The object is deleted after keep, that of the previous build after
// replaced, if not before.
func (r *Registry) SaveTemporaryExport(ctx context.Context, f ExportFile, keep, replaced time.Duration) error {
	f.Version = 0
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := hastenDelete(ctx, r, tx, f, replaced); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, insertExport+` ON CONFLICT (product_id, kind, first_day, last_day, version)
			DO UPDATE SET object_key = excluded.object_key, row_count = excluded.row_count, csv_bytes = excluded.csv_bytes,
				zip_bytes = excluded.zip_bytes, watermark = excluded.watermark, built = excluded.built`, f.values()...)
		if err != nil {
			return err
		}
		return r.scheduleDelete(ctx, tx, f.Key, keep)
	})
	if err != nil {
		return fmt.Errorf("record export %s: %w", f.Key, err)
	}
	return nil
}

// hastenDelete schedules the deletion of the build that f is about to replace.
func hastenDelete(ctx context.Context, r *Registry, tx *sql.Tx, f ExportFile, after time.Duration) error {
	now, err := r.clock(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE export_leavings SET delete_after = $1 WHERE delete_after > $2 AND object_key <> $3
		AND object_key IN (SELECT object_key FROM export_files
			WHERE product_id = $4 AND kind = $5 AND first_day = $6 AND last_day = $7 AND version = 0)`,
		toMicros(now.Add(after)), toMicros(now.Add(after)), f.Key, f.Product, f.Kind, f.First, f.Last)
	return err
}

// WaitingDeletes counts the objects of a product that are to be deleted, which are
// those of open days and of builds, and says in how long the first one is due; if that
// has passed, 0. The keys of a product's objects begin with its id.
func WaitingDeletes(ctx context.Context, r *Registry, product int64) (objects int, due time.Duration, err error) {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return 0, 0, fmt.Errorf("count objects of product %d: %w", product, err)
	}
	var first int64
	err = r.db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(delete_after), 0) FROM export_leavings WHERE object_key LIKE $1`,
		fmt.Sprintf("%d/%%", product)).Scan(&objects, &first)
	if err != nil {
		return 0, 0, fmt.Errorf("count objects of product %d: %w", product, err)
	}
	return objects, max(0, fromMicros(first).Sub(now)), nil
}

const insertExport = `INSERT INTO export_files (` + exportColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

func (f ExportFile) values() []any {
	return []any{f.Product, f.Kind, f.First, f.Last, f.Version, f.Key, f.Rows, f.CSVBytes, f.ZipBytes, f.Watermark, toMicros(f.Built)}
}

// ExtendExport postpones the deletion of an object until keep from now, and reports
// whether it will still be there: an object whose deletion is due may be going.
func ExtendExport(ctx context.Context, r *Registry, key string, keep time.Duration) (bool, error) {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return false, fmt.Errorf("keep export %s: %w", key, err)
	}
	err = execRequired(ctx, r.db, ErrNotFound, `UPDATE export_leavings SET delete_after = $1 WHERE object_key = $2 AND delete_after > $3`,
		toMicros(now.Add(keep)), key, toMicros(now.Add(keepMargin)))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// keepMargin is how long before its deletion an object is no longer given out.
const keepMargin = time.Minute

// PendingDeletes lists at most limit objects whose deletion is due.
func (r *Registry) PendingDeletes(ctx context.Context, limit int) ([]string, error) {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return nil, fmt.Errorf("list pending deletions: %w", err)
	}
	keys, err := queryAll(ctx, r.db, func(row *sql.Rows) (key string, err error) { return key, row.Scan(&key) },
		`SELECT object_key FROM export_leavings WHERE delete_after <= $1 ORDER BY delete_after LIMIT $2`, toMicros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("list pending deletions: %w", err)
	}
	return keys, nil
}

// ForgetExports removes the records of deleted objects and of the temporary builds in
// them.
func (r *Registry) ForgetExports(ctx context.Context, keys ...string) error {
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, key := range keys {
			if _, err := tx.ExecContext(ctx, `DELETE FROM export_files WHERE object_key = $1 AND version = 0`, key); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM export_leavings WHERE object_key = $1`, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget %d exports: %w", len(keys), err)
	}
	return nil
}

// ExportedThrough returns the last day whose files are all built; "" if there is none.
// The files of all earlier days are built too.
func (r *Registry) ExportedThrough(ctx context.Context) (string, error) {
	var day string
	if err := r.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(day), '') FROM export_days`).Scan(&day); err != nil {
		return "", fmt.Errorf("read last exported day: %w", err)
	}
	return day, nil
}

// FinishExports records that all files of day are built.
func (r *Registry) FinishExports(ctx context.Context, day, watermark string) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO export_days (day, watermark, built) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		day, watermark, toMicros(time.Now()))
	if err != nil {
		return fmt.Errorf("record day %s as exported: %w", day, err)
	}
	return nil
}
