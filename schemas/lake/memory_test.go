package lake_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// heapBytes returns how much memory is reachable.
func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // a pool keeps what it holds for one collection more
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// storedBytes returns how much the store of w has in memory, once the metadata
// files are deleted: they are nearly all of it.
func storedBytes(t *testing.T, w *laketest.Backend) (size int64) {
	t.Helper()
	if err := w.Store.Delete(t.Context(), eventKeys(t, w, ".metadata.json")...); err != nil {
		t.Fatal(err)
	}
	for o, err := range w.Store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		size += o.Size
	}
	return size
}

// TestCommitsDoNotKeepTheOnesBefore commits without expiry and measures what one
// commit leaves in memory: its snapshot, and nothing of the metadata that
// was replaced.
func TestCommitsDoNotKeepTheOnesBefore(t *testing.T) {
	const perCommit = 6 << 10
	commits := int64(laketest.Repetitions(480))
	w := laketest.New()
	l := open(t, w)
	begun := heapBytes()
	for i := range commits {
		mustCommit(t, l, []lake.Cut{cut(t, l, 0, i, i+1)}, lake.Committed)
		if i%100 == 0 {
			storedBytes(t, w)
		}
	}
	stored := storedBytes(t, w)
	grown := heapBytes() - begun - stored
	t.Logf("%d bytes a commit", grown/commits)
	if grown > commits*perCommit {
		t.Errorf("a commit left %d bytes in memory, want %d at most", grown/commits, perCommit)
	}
	runtime.KeepAlive(l)
}

// TestMemoryOfLiveFiles measures what a live data file takes once a snapshot has
// listed it.
func TestMemoryOfLiveFiles(t *testing.T) {
	const n, perFile = 5000, 300 * laketest.HeapFactor
	w := laketest.New()
	commitFiles(t, open(t, w), n)
	l := open(t, w) // knows nothing of the files yet
	begun := heapBytes()
	s := load(t, l, lake.Events)
	if got := len(files(t, s)); got != n {
		t.Fatalf("%d files, want %d", got, n)
	}
	if grown := heapBytes() - begun; grown > n*perFile {
		t.Errorf("a live file takes %d bytes of memory, want %d at most", grown/n, perFile)
	}
	runtime.KeepAlive(s)
}

// BenchmarkListFiles lists the files of a snapshot, and reports how much memory
// each of them takes from then on.
func BenchmarkListFiles(b *testing.B) {
	const n = 5000
	w := laketest.New()
	commitFiles(b, open(b, w), n)
	for b.Loop() {
		b.StopTimer()
		l := open(b, w)
		begun := heapBytes()
		b.StartTimer()
		s := load(b, l, lake.Events)
		files(b, s)
		b.StopTimer()
		b.ReportMetric(float64(heapBytes()-begun)/n, "heap-B/file")
		runtime.KeepAlive(s)
		b.StartTimer()
	}
}

// commitFiles commits n data files, in few commits.
func commitFiles(t testing.TB, l *lake.Lake, n int64) {
	t.Helper()
	const perCut = 500
	for at := int64(0); at < n; at += perCut {
		c := cut(t, l, 0, at, at+1)
		for i := int64(1); i < perCut; i++ {
			c.Files = append(c.Files, cut(t, l, 0, at+i, at+i+1).Files...)
		}
		c.To = state(at + perCut)
		mustCommit(t, l, []lake.Cut{c}, lake.Committed)
	}
}

// TestMemoryOfADay commits every four minutes for a day and expires what is older
// than an hour: neither snapshots nor memory may pile up.
func TestMemoryOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const warm, slack = 2 * 15, 256 << 10
		commits := int64(laketest.Repetitions(24 * 15))
		w := laketest.New()
		l := open(t, w)
		var begun int64
		for i := range commits {
			time.Sleep(4 * time.Minute)
			c := cut(t, l, 0, i, i+1)
			if i%10 > 0 {
				c.Files = nil
			}
			mustCommit(t, l, []lake.Cut{c}, lake.Committed)
			if err := l.ExpireSnapshots(t.Context(), lake.Events, time.Hour, 10); err != nil {
				t.Fatal(err)
			}
			if got := lake.LiveSnapshots(l, lake.Events); got > 17 {
				t.Fatalf("%d live snapshots after %d commits", got, i)
			}
			if i == warm {
				stored := storedBytes(t, w)
				begun = heapBytes() - stored
			}
		}
		stored := storedBytes(t, w)
		if grown := heapBytes() - stored - begun; grown > slack {
			t.Errorf("memory has grown by %d bytes from hour 2 to hour 24, want %d at most", grown, slack)
		}
		runtime.KeepAlive(l)
	})
}
