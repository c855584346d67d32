package dedupe

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// model gives the right answers from a map that never forgets.
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

func smallShare() int64 { return 120 * 2048 } // about 1024 fingerprints in memory, all others on disk

// compareWithModel feeds random keys to a Window and to the model: keys that come
// back soon, late and never, at a log time that pauses and jumps.
func compareWithModel(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	window := time.Hour
	d := New(window, 0, t.TempDir(), smallShare)
	defer func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	want := &model{window: window.Milliseconds(), at: map[string]int64{}}
	now := int64(1_700_000_000_000)
	for i := range steps {
		switch {
		case rnd.IntN(5000) == 0:
			now += rnd.Int64N(2 * want.window) // may pass the whole window
		case rnd.IntN(3) == 0:
			now += rnd.Int64N(600)
		}
		n := i
		if i > 0 && rnd.IntN(3) == 0 {
			n = max(0, i-1-int(rnd.ExpFloat64()*3000))
		}
		key := fmt.Sprint(n)
		got, err := d.Duplicate(1, int64(n%7+1), key, now)
		if err != nil {
			t.Fatalf("seed %d step %d: %v", seed, i, err)
		}
		if w := want.duplicate(key, now); got != w {
			t.Fatalf("seed %d step %d key %s at %d: duplicate = %v, want %v (%d files)", seed, i, key, now, got, w, len(d.files))
		}
	}
}

func TestWindowAgreesWithModel(t *testing.T) {
	for seed := range uint64(20) {
		compareWithModel(t, seed, 30_000)
	}
}

func FuzzWindow(f *testing.F) {
	f.Add(uint64(99))
	f.Fuzz(func(t *testing.T, seed uint64) { compareWithModel(t, seed, 20_000) })
}

func TestWindowEdge(t *testing.T) {
	d := New(time.Hour, 0, t.TempDir(), smallShare)
	defer d.Close()
	hour := time.Hour.Milliseconds()
	check := func(now int64, want bool) {
		t.Helper()
		got, err := d.Duplicate(1, 2, "a", now)
		if err != nil || got != want {
			t.Errorf("at %d: duplicate = %v, %v; want %v", now, got, err, want)
		}
	}
	check(1000, false)
	check(1000+hour-1, true) // a duplicate does not make the window longer
	check(1000+hour, false)
	check(1000+2*hour-1, true)
}

func TestDifferentKeysAreNoDuplicates(t *testing.T) {
	d := New(time.Hour, 0, t.TempDir(), smallShare)
	defer d.Close()
	for _, key := range []struct {
		product, client int64
		randomID        string
	}{{1, 2, "a"}, {2, 1, "a"}, {1, 2, "b"}, {1, 3, "a"}, {1, 2, ""}} {
		if dup, err := d.Duplicate(key.product, key.client, key.randomID, 5); dup || err != nil {
			t.Errorf("%+v: duplicate = %v, %v; want false", key, dup, err)
		}
	}
}

// TestRebuiltFromUnorderedRows adds rows in the order of a data file, not of the
// log.
func TestRebuiltFromUnorderedRows(t *testing.T) {
	const rows, now = 50_000, int64(3_600_000)
	d := New(time.Hour, now, t.TempDir(), smallShare)
	defer d.Close()
	for _, i := range rand.New(rand.NewPCG(3, 3)).Perm(rows) {
		if err := d.add(d.hash(1, 2, fmt.Sprint(i)), now-int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range rows {
		if dup, err := d.Duplicate(1, 2, fmt.Sprint(i), now); !dup || err != nil {
			t.Fatalf("row %d: duplicate = %v, %v; want true", i, dup, err)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	dir := t.TempDir()
	d := New(24*time.Hour, 0, dir, smallShare)
	defer d.Close()
	for i := range 200_000 {
		if _, err := d.Duplicate(1, 2, fmt.Sprint(i), int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	used := int64(len(d.recent.slots)+cap(d.sorted)) * entryBytes
	for _, f := range d.files {
		used += f.bloom.bytes()
	}
	if used > 2*smallShare() {
		t.Errorf("%d bytes in memory, share is %d", used, smallShare())
	}
	left, err := os.ReadDir(dir)
	for range 100 { // one that is just being made has a name for an instant
		if err != nil || len(left) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
		left, err = os.ReadDir(dir)
	}
	if err != nil || len(left) != 0 {
		t.Errorf("files with a name in the folder: %v, %v; want none, since they would outlive the process", left, err)
	}
}

func TestWriteErrorIsReturned(t *testing.T) {
	d := New(time.Hour, 0, t.TempDir()+"/missing", smallShare)
	defer d.Close()
	for i := range 10_000 {
		if _, err := d.Duplicate(1, 2, fmt.Sprint(i), 1); err != nil {
			return
		}
	}
	t.Error("no error although files cannot be written")
}

// BenchmarkWindow looks up new events, with all fingerprints in memory and with
// most of them in files.
func BenchmarkWindow(b *testing.B) {
	for name, share := range map[string]int64{"memory": 1 << 30, "files": 16 << 20} {
		b.Run(name, func(b *testing.B) {
			d := New(24*time.Hour, 0, b.TempDir(), func() int64 { return share })
			defer d.Close()
			id := []byte("00000000-aaaa-bbbb-cccc-dddddddddddd")
			n := 0
			for b.Loop() {
				for k, v := 0, n; k < 8; k, v = k+1, v>>4 {
					id[k] = "0123456789abcdef"[v&15]
				}
				if _, err := d.Duplicate(1, int64(n&1023), string(id), int64(n)); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(len(d.files)), "files")
		})
	}
}

// BenchmarkRecent compares the hash table with a Go map: each operation looks up
// a new fingerprint and adds it, up to a million, and then starts with an empty one.
func BenchmarkRecent(b *testing.B) {
	const most = 1 << 20
	next := func(i int) fingerprint {
		f := fingerprint{hi: uint64(i+1) * 0x9e3779b97f4a7c15, lo: uint64(i+1) * 0xbf58476d1ce4e5b9}
		return fingerprint{hi: f.hi ^ f.hi>>31, lo: f.lo ^ f.lo>>29}
	}
	b.Run("table", func(b *testing.B) {
		var r recent
		for i := 0; b.Loop(); i++ {
			if r.used == most {
				r = recent{}
			}
			if r.full() {
				r.grow()
			}
			f := next(i)
			if _, found := r.find(f); !found {
				r.put(f, int64(i))
			}
		}
	})
	b.Run("map", func(b *testing.B) {
		m := map[fingerprint]int64{}
		for i := 0; b.Loop(); i++ {
			if len(m) == most {
				m = map[fingerprint]int64{}
			}
			f := next(i)
			if _, found := m[f]; !found {
				m[f] = int64(i)
			}
		}
	})
}
