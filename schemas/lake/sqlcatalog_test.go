package lake_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// onSQLite is a process on the store of w and a catalog in db.
func onSQLite(t testing.TB, w *laketest.Backend, db *sql.DB) *lake.Lake {
	t.Helper()
	cat, err := lake.SQLCatalog(db, "sqlite", laketest.Bucket, w.Store)
	if err != nil {
		t.Fatal(err)
	}
	cfg := fastConfig()
	cfg.Bucket = laketest.Bucket
	l, err := lake.Open(t.Context(), cfg, cat, w.Store)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sqliteFile(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "weir.db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestSQLCatalog(t *testing.T) {
	w, db := laketest.New(), sqliteFile(t)
	a, b := onSQLite(t, w, db), onSQLite(t, w, db)
	mustCommit(t, a, []lake.Cut{cut(t, a, 0, 0, 10)}, lake.Committed)
	mustCommit(t, b, []lake.Cut{cut(t, b, 1, 0, 10)}, lake.Committed)
	mustCommit(t, a, []lake.Cut{cut(t, a, 1, 0, 7)}, lake.AlreadyApplied)
	mustCommit(t, a, []lake.Cut{cut(t, a, 0, 10, 20)}, lake.Committed)
	if v := load(t, b, lake.Events).ShardStates(); v[0].Next != 20 || v[1].Next != 10 {
		t.Errorf("shard states = %v", v)
	}

	var location, previous string
	err := db.QueryRowContext(t.Context(), `SELECT metadata_location, previous_metadata_location FROM iceberg_tables
		WHERE catalog_name = 'weir' AND table_namespace = 'weir' AND table_name = 'events'`).Scan(&location, &previous)
	if err != nil || location == previous {
		t.Errorf("row of events: %q after %q, %v", location, previous, err)
	}
}

func TestSQLCatalogOfAnotherBucket(t *testing.T) {
	w, db := laketest.New(), sqliteFile(t)
	onSQLite(t, w, db)
	cat, err := lake.SQLCatalog(db, "sqlite", "elsewhere", w.Store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lake.Open(t.Context(), lake.Config{Bucket: "elsewhere"}, cat, w.Store); err == nil {
		t.Error("tables of one bucket were opened in another")
	}
	if _, err := lake.SQLCatalog(db, "oracle", laketest.Bucket, w.Store); err == nil {
		t.Error("an unknown dialect was taken")
	}
}

// BenchmarkCommit commits 4 files, one of each shard, to a table on SQLite and
// a store in memory; snapshots expire as they do in the processor.
func BenchmarkCommit(b *testing.B) {
	l := onSQLite(b, laketest.New(), sqliteFile(b))
	next := int64(0)
	for b.Loop() {
		var cuts []lake.Cut
		for shard := range int32(4) {
			cuts = append(cuts, cut(b, l, shard, next, next+1000))
		}
		next += 1000
		mustCommit(b, l, cuts, lake.Committed, lake.Committed, lake.Committed, lake.Committed)
		if next%50_000 == 0 {
			if err := l.ExpireSnapshots(b.Context(), lake.Events, time.Millisecond, 20); err != nil {
				b.Fatal(err)
			}
		}
	}
}
