package registry

import (
	"slices"
	"testing"
	"time"
)

func TestProcessors(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		alive := func(want ...string) {
			t.Helper()
			if got := must[[]string](t)(r.Processors(ctx)); !slices.Equal(got, want) {
				t.Errorf("processors = %q, want %q", got, want)
			}
		}
		beat := func(id string) {
			t.Helper()
			if err := r.Heartbeat(ctx, id, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		alive()
		beat("b")
		db.pass(40 * time.Second)
		beat("a")
		alive("a", "b")
		db.pass(40 * time.Second)
		alive("a")
		beat("a")
		db.pass(2 * processorRetention)
		beat("c")
		alive("c")
		var rows int
		if err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM processors`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d processors are stored (%v), want 1", rows, err)
		}
		if err := r.DeregisterProcessor(ctx, "c"); err != nil {
			t.Fatal(err)
		}
		alive()
	})
}
