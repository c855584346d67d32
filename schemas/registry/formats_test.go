package registry

import (
	"log/slog"
	"testing"
	"time"
)

// heartbeatOfOld is the heartbeat of a processor of before the gate, as 87a9283 sends it.
func heartbeatOfOld(t *testing.T, r *Registry, id string, ttl time.Duration) {
	t.Helper()
	now := must[time.Time](t)(r.clock(t.Context(), r.db))
	if _, err := r.db.ExecContext(t.Context(), `INSERT INTO processors (id, expires) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires`, id, toMicros(now.Add(ttl))); err != nil {
		t.Fatal(err)
	}
}

// of opens db as a version that understands formats does.
func (d database) of(t *testing.T, formats ...string) *Registry {
	t.Helper()
	r := d.open(t)
	r.formats = formats
	return r
}

func TestFormatWaitsForOldProcessors(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.of(t, "a", "b"), t.Context()
		onlyA := db.of(t, "a")
		understood := func(when string, want bool) {
			t.Helper()
			if got := must[bool](t)(AllUnderstand(ctx, r, "b")); got != want {
				t.Errorf("%s: all understand b: %v, want %v", when, got, want)
			}
			if got := must[bool](t)(AdoptFormat(ctx, r, "b")); got != want {
				t.Errorf("%s: b is adopted: %v, want %v", when, got, want)
			}
		}
		beat := func(r *Registry, id string) {
			t.Helper()
			if err := r.Heartbeat(ctx, id, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		beat(r, "new")
		heartbeatOfOld(t, r, "old", time.Minute)
		understood("beside one of before the gate", false)
		beat(r, "old")
		beat(onlyA, "other")
		understood("beside one that knows another format only", false)
		if err := onlyA.DeregisterProcessor(ctx, "other"); err != nil {
			t.Fatal(err)
		}
		db.pass(30 * time.Second)
		heartbeatOfOld(t, r, "old", time.Minute)
		understood("when an old one goes on under the same id", false)
		beat(r, "new")
		db.pass(59 * time.Second)
		understood("while the old one may live", false)
		beat(r, "new")
		db.pass(2 * time.Second)
		understood("when the old one has died", true)
		heartbeatOfOld(t, r, "old", time.Minute)
		if !must[bool](t)(AdoptFormat(ctx, r, "b")) {
			t.Error("an adopted format is not adopted any more")
		}
	})
}

func TestAdoptedFormatShutsOldVersionsOut(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		known := append(formats(), "next")
		r, running, ctx := db.of(t, known...), db.of(t, formats()...), t.Context()
		if err := running.Heartbeat(ctx, "older", time.Minute); err != nil {
			t.Fatal(err)
		}
		must[*Registry](t)(Open(ctx, db.url, slog.New(slog.DiscardHandler))).Close()
		if err := running.DeregisterProcessor(ctx, "older"); err != nil {
			t.Fatal(err)
		}
		if !must[bool](t)(AdoptFormat(ctx, r, "next")) {
			t.Fatal("not adopted without another processor")
		}
		_, err := Open(ctx, db.url, slog.New(slog.DiscardHandler))
		wantErr(t, "open by a version that does not know the format", err, ErrNewer)
		wantErr(t, "heartbeat of one that was running", running.Heartbeat(ctx, "older", time.Minute), ErrNewer)
		if err := r.Heartbeat(ctx, "new", time.Minute); err != nil {
			t.Errorf("heartbeat of one that knows it: %v", err)
		}

		// 87a9283 and all before it compare this number with that of their last migration.
		var highest int
		if err := r.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&highest); err != nil {
			t.Fatal(err)
		}
		if last := len(must[[]migration](t)(migrations())); highest <= last {
			t.Errorf("version %d is recorded, which one of before the gate opens: it knows %d", highest, last)
		}
		r.formats = append(known, "later")
		if err := r.migrate(ctx, must[[]migration](t)(migrations())); err != nil {
			t.Errorf("open by a version that knows more: %v", err)
		}
	})
}

func TestStatementsOfDeadProcessorsAreForgotten(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.of(t, "a"), t.Context()
		for _, id := range []string{"one", "two"} {
			if err := r.Heartbeat(ctx, id, time.Minute); err != nil {
				t.Fatal(err)
			}
			db.pass(2 * processorRetention)
		}
		var kept int
		if err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM settings WHERE key LIKE '`+understoodBy+`%'`).Scan(&kept); err != nil || kept != 1 {
			t.Errorf("%d statements are kept (%v), want 1", kept, err)
		}
	})
}
