package processor

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// model is what dedupe must say, in a map that forgets nothing.
type model struct {
	window int64
	at     map[string]int64
}

func (m *model) duplicate(key string, now int64) bool {
	at, found := m.at[key]
	if found && now-at < m.window {
		return true
	}
	m.at[key] = now
	return false
}

func smallShare() int64 { return 120 * 2048 } // 2048 fingerprints, then disk

// playDedupe runs a random life of a shard: keys that come back soon, late and
// never, a log time that stands still and jumps, and rebuilds.
func playDedupe(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	window := time.Hour
	d := newDedupe(window, t.TempDir(), smallShare)
	defer func() {
		if err := d.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	want := &model{window: window.Milliseconds(), at: map[string]int64{}}
	now := int64(1_700_000_000_000)
	for i := range steps {
		switch {
		case rnd.IntN(5000) == 0:
			now += rnd.Int64N(2 * want.window) // may pass everything
		case rnd.IntN(3) == 0:
			now += rnd.Int64N(600)
		}
		n := i
		if i > 0 && rnd.IntN(3) == 0 {
			n = max(0, i-1-int(rnd.ExpFloat64()*3000))
		}
		key := fmt.Sprint(n)
		got, err := d.duplicate(d.hash(1, int64(n%7+1), key), now)
		if err != nil {
			t.Fatalf("seed %d step %d: %v", seed, i, err)
		}
		if w := want.duplicate(key, now); got != w {
			t.Fatalf("seed %d step %d key %s at %d: duplicate = %v, want %v (%d runs)", seed, i, key, now, got, w, len(d.runs))
		}
	}
}

func TestDedupeIsTheModel(t *testing.T) {
	for seed := range uint64(20) {
		playDedupe(t, seed, 30_000)
	}
}

func FuzzDedupe(f *testing.F) {
	f.Add(uint64(99))
	f.Fuzz(func(t *testing.T, seed uint64) { playDedupe(t, seed, 20_000) })
}

func TestDedupeWindowEdge(t *testing.T) {
	d := newDedupe(time.Hour, t.TempDir(), smallShare)
	defer d.close()
	hour := time.Hour.Milliseconds()
	check := func(now int64, want bool) {
		t.Helper()
		got, err := d.duplicate(d.hash(1, 2, "a"), now)
		if err != nil || got != want {
			t.Errorf("at %d: duplicate = %v, %v; want %v", now, got, err, want)
		}
	}
	check(1000, false)
	check(1000+hour-1, true) // a duplicate does not make the window longer
	check(1000+hour, false)
	check(1000+2*hour-1, true)
}

func TestDedupeTellsKeysApart(t *testing.T) {
	d := newDedupe(time.Hour, t.TempDir(), smallShare)
	defer d.close()
	for _, f := range []fingerprint{d.hash(1, 2, "a"), d.hash(2, 1, "a"), d.hash(1, 2, "b"), d.hash(1, 3, "a"), d.hash(1, 2, "")} {
		if dup, err := d.duplicate(f, 5); dup || err != nil {
			t.Errorf("duplicate = %v, %v; want neither", dup, err)
		}
	}
}

// TestDedupeRebuilt loads rows in the order of a data file, not of the log.
func TestDedupeRebuilt(t *testing.T) {
	d := newDedupe(time.Hour, t.TempDir(), smallShare)
	defer d.close()
	const rows, now = 50_000, int64(3_600_000)
	d.now = now
	for _, i := range rand.New(rand.NewPCG(3, 3)).Perm(rows) {
		if err := d.stored(d.hash(1, 2, fmt.Sprint(i)), now-int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range rows {
		if dup, err := d.duplicate(d.hash(1, 2, fmt.Sprint(i)), now); !dup || err != nil {
			t.Fatalf("row %d: duplicate = %v, %v; want true", i, dup, err)
		}
	}
}

func TestDedupeMemoryIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := newDedupe(24*time.Hour, dir, smallShare)
	defer d.close()
	for i := range 200_000 {
		if _, err := d.duplicate(d.hash(1, 2, fmt.Sprint(i)), int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	held := int64(len(d.recent.slots)+cap(d.sorted)) * entryBytes
	for _, r := range d.runs {
		held += r.filter.bytes()
	}
	if held > 2*smallShare() {
		t.Errorf("%d bytes in memory, share is %d", held, smallShare())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files with names in scratch: %v, %v; want none that could outlive the process", left, err)
	}
}

func TestDedupeDiskFull(t *testing.T) {
	d := newDedupe(time.Hour, t.TempDir()+"/missing", smallShare)
	defer d.close()
	for i := range 10_000 {
		if _, err := d.duplicate(d.hash(1, 2, fmt.Sprint(i)), 1); err != nil {
			return
		}
	}
	t.Error("no error although runs cannot be written")
}

func BenchmarkDedupe(b *testing.B) {
	for name, share := range map[string]int64{"table": 1 << 30, "runs": 16 << 20} {
		b.Run(name, func(b *testing.B) {
			d := newDedupe(24*time.Hour, b.TempDir(), func() int64 { return share })
			defer d.close()
			id := []byte("00000000-aaaa-bbbb-cccc-dddddddddddd")
			n := 0
			for b.Loop() {
				for k, v := 0, n; k < 8; k, v = k+1, v>>4 {
					id[k] = "0123456789abcdef"[v&15]
				}
				if _, err := d.duplicate(d.hash(1, int64(n&1023), string(id)), int64(n)); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(len(d.runs)), "runs")
		})
	}
}
