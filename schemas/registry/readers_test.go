package registry

import (
	"testing"
	"time"
)

func TestOldestRead(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, other, ctx := db.open(t), db.open(t), t.Context()
		at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		state := func(process string, oldest time.Time) {
			t.Helper()
			if err := StateRead(ctx, r, process, oldest, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		want := func(when string, want time.Time) {
			t.Helper()
			if got := must[time.Time](t)(OldestRead(ctx, other)); !got.Equal(want) {
				t.Errorf("%s: oldest snapshot read is of %s, want %s", when, got, want)
			}
		}
		want("nobody reads", time.Time{})
		state("a", at)
		state("b", at.Add(time.Hour))
		want("two read", at)
		state("a", at.Add(2*time.Hour))
		want("one has gone on", at.Add(time.Hour))
		state("b", time.Time{})
		want("one has ended", at.Add(2*time.Hour))
		db.pass(59 * time.Second)
		want("it still lives", at.Add(2*time.Hour))
		db.pass(2 * time.Second)
		want("it is dead", time.Time{})
		db.pass(-time.Minute)
		want("it is forgotten", time.Time{})
	})
}
