package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openTemporary(t *testing.T) *Registry {
	t.Helper()
	r, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "registry.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func exportOf(kind, first, last string, version int64, key string) ExportFile {
	return ExportFile{
		Product: 7, Kind: kind, First: first, Last: last, Version: version, Key: key, Rows: 3, CSVBytes: 2000, ZipBytes: 500,
		Watermark: "0=12,1=7", Built: time.Date(2024, 3, 2, 0, 1, 0, 5000, time.UTC),
	}
}

func TestFirstClosedExportWins(t *testing.T) {
	r, ctx := openTemporary(t), t.Context()
	first := exportOf("cust", "2024-03-01", "2024-03-01", 1, "a")
	late := exportOf("cust", "2024-03-01", "2024-03-01", 1, "b")
	for _, f := range []ExportFile{first, late} {
		if err := r.BeginExport(ctx, f.Key, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.SaveExport(ctx, first); err != nil {
		t.Fatal(err)
	}
	if err := r.SaveExport(ctx, late); !errors.Is(err, ErrExists) {
		t.Errorf("second build: %v, want %v", err, ErrExists)
	}
	checkExports(t, r, "cust", first)
	if got, _ := r.PendingDeletes(ctx, 10); !cmp.Equal(got, []string{"b"}) {
		t.Errorf("pending deletions = %q, want only the second build", got)
	}
	if err := r.ForgetExports(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.PendingDeletes(ctx, 10); len(got) != 0 {
		t.Errorf("pending deletions = %q after ForgetExports", got)
	}
	checkExports(t, r, "cust", first)
}

func checkExports(t *testing.T, r *Registry, kind string, want ...ExportFile) {
	t.Helper()
	got, err := r.Exports(t.Context(), 7, kind)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exports (-want +got):\n%s", diff)
	}
}

func TestExportsListsNewestVersion(t *testing.T) {
	r, ctx := openTemporary(t), t.Context()
	old := exportOf("raw", "2024-03-01", "2024-03-01", 1, "a")
	rewritten := exportOf("raw", "2024-03-01", "2024-03-01", 2, "b")
	next := exportOf("raw", "2024-03-02", "2024-03-02", 1, "c")
	for _, f := range []ExportFile{old, next, rewritten, exportOf("cust", "2024-03-01", "2024-03-01", 1, "d")} {
		if err := r.SaveExport(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	checkExports(t, r, "raw", rewritten, next)
	within, err := r.ExportsWithin(ctx, "2024-03-02", "2024-03-31")
	if err != nil || !cmp.Equal(within, []ExportFile{next}) {
		t.Errorf("within = %v, %v; want %v", within, err, next)
	}
}

func TestOpenExportIsReplacedAndDeleted(t *testing.T) {
	r, ctx := openTemporary(t), t.Context()
	one := exportOf("exc", "2024-03-03", "2024-03-03", 0, "one")
	two := exportOf("exc", "2024-03-03", "2024-03-03", 0, "two")
	if err := r.SaveTemporaryExport(ctx, one, time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.SaveTemporaryExport(ctx, two, time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	checkExports(t, r, "exc", two)
	other := exportOf("exc", "2024-03-03", "2024-03-03", 0, "other")
	other.Product, other.Key = two.Product*10, fmt.Sprintf("%d/exc/x", two.Product*10)
	if err := r.SaveTemporaryExport(ctx, other, time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	if n, due, err := WaitingDeletes(ctx, r, other.Product); err != nil || n != 1 || due <= 59*time.Minute || due > time.Hour {
		t.Errorf("%d objects of product %d wait, the first %v, %v; want 1 and an hour", n, other.Product, due, err)
	}
	if n, _, err := WaitingDeletes(ctx, r, two.Product); err != nil || n != 0 {
		t.Errorf("%d objects of product %d wait, %v; want none whose key begins with its id", n, two.Product, err)
	}
	if got, _ := r.PendingDeletes(ctx, 10); !cmp.Equal(got, []string{"one"}) {
		t.Errorf("pending deletions = %q, want the replaced build", got)
	}
	if err := r.ForgetExports(ctx, "one", "two"); err != nil {
		t.Fatal(err)
	}
	checkExports(t, r, "exc")
}

func TestDaysAreFinishedInOrder(t *testing.T) {
	r, ctx := openTemporary(t), t.Context()
	check := func(want string) {
		t.Helper()
		if got, err := r.ExportedThrough(ctx); err != nil || got != want {
			t.Errorf("exported through %q, %v; want %q", got, err, want)
		}
	}
	check("")
	for _, day := range []string{"2024-02-29", "2024-03-01", "2024-03-01"} {
		if err := r.FinishExports(ctx, day, "0=1"); err != nil {
			t.Fatal(err)
		}
		check(day)
	}
}
