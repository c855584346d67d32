package processor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

const testMonth = 646 // November 2023

// planAt returns a plan of a table with runs, whose shard 0 has log time in November
// 2023. Its last row arrived that long ago.
func planAt(ago time.Duration) runPlan {
	now := time.Date(2023, time.November, 20, 12, 0, 0, 0, time.UTC)
	return runPlan{
		runs: true, spec: 1, now: now, logs: lake.ShardStates{0: {LogTime: now.UnixMilli()}},
		lastArrival: map[int32]int64{0: now.Add(-ago).UnixMilli()},
	}
}

// runsOf returns runs of shard 0 in the order of the log, with the sizes of the
// words: s is 60 KB, m 1 MB, l 12 MB, x 60 MB, z 90 MB.
func runsOf(words string, change func(f *lake.DataFile)) []lake.DataFile {
	sizes := map[rune]int64{'s': 60 << 10, 'm': 1 << 20, 'l': 12 << 20, 'x': 60 << 20, 'z': 90 << 20}
	var out []lake.DataFile
	for i, c := range words {
		f := lake.DataFile{Path: string(c), Bytes: sizes[c], Rows: 1, Spec: 1, Partition: testMonth, Min: lake.Bounds{Offset: int64(i)}}
		if change != nil {
			change(&f)
		}
		out = append(out, f)
	}
	return out
}

// words prints merges as runsOf reads them.
func words(merges [][]lake.DataFile) string {
	var out []string
	for _, m := range merges {
		word := ""
		for _, f := range m {
			word += f.Path
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func TestRunsThatAreDue(t *testing.T) {
	older := func(f *lake.DataFile) { f.Spec, f.Partition = 0, int32(f.Min.Offset) }
	ended := func(f *lake.DataFile) { f.Partition-- }
	for name, c := range map[string]struct {
		runs   string
		change func(*lake.DataFile)
		ago    time.Duration
		want   string
	}{
		"seven wait for the eighth":                 {runs: "sssssss"},
		"eight of one level":                        {runs: "ssssssss", want: "ssssssss"},
		"the ninth waits":                           {runs: "sssssssss", want: "ssssssss"},
		"each level by itself":                      {runs: "llmmmmmmmmsss", want: "mmmmmmmm"},
		"small ones before large ones":              {runs: "llllllllmmmmmmmm", want: "mmmmmmmm llllllll"},
		"a small one between large ones goes along": {runs: "mmmsmmmm", want: "mmmsmmmm"},
		"but does not lift those after it":          {runs: "mmmssss"},
		"no merge over 128 MB":                      {runs: "xxx", want: "xx"},
		"a final run is left alone":                 {runs: "zzzzzzzzz"},
		"what a quiet shard has left":               {runs: "llmss", ago: 6 * time.Minute, want: "mss ll"},
		"a shard that is not quiet yet":             {runs: "llmss", ago: 4 * time.Minute},
		"an ended month":                            {runs: "xlms", change: ended, want: "xlms"},
		"an ended month, 128 MB at most":            {runs: "xxxs", change: ended, want: "xs xx"},
		"files of the spec before, one alone too":   {runs: "sssssssss", change: older, want: "s ssssssss"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planAt(c.ago)
			if got := words(p.merges(runsOf(c.runs, c.change))); got != c.want {
				t.Errorf("merges of %s are %q, want %q", c.runs, got, c.want)
			}
		})
	}
}

// TestMergesStayInTheirGroup checks that no merge takes files of two shards or months,
// and that before a table has runs only files of its spec merge, by partition.
func TestMergesStayInTheirGroup(t *testing.T) {
	files := slices.Concat(
		runsOf("ssss", nil),
		runsOf("ssss", func(f *lake.DataFile) { f.Partition++ }),
		runsOf("ssss", func(f *lake.DataFile) { f.Shard = 1 }),
		runsOf("ss", func(f *lake.DataFile) { f.Spec = 7 }),
	)
	for i := range files {
		files[i].Path = fmt.Sprint(files[i].Shard, files[i].Partition-testMonth, files[i].Spec, " ")
	}
	p := runPlan{all: true, runs: true, spec: 1}
	if diff := cmp.Diff("0 0 7 0 0 7  0 0 1 0 0 1 0 0 1 0 0 1  0 1 1 0 1 1 0 1 1 0 1 1  1 0 1 1 0 1 1 0 1 1 0 1 ", words(p.merges(files))); diff != "" {
		t.Errorf("merges (-want +got):\n%s", diff)
	}
	p.runs = false
	if diff := cmp.Diff("0 0 1 0 0 1 0 0 1 0 0 1  0 1 1 0 1 1 0 1 1 0 1 1  1 0 1 1 0 1 1 0 1 1 0 1 ", words(p.merges(files))); diff != "" {
		t.Errorf("merges before runs (-want +got):\n%s", diff)
	}
}

// TestRunsStayFew adds cuts of random sizes one after the other and merges what is due,
// as maintenance does, and looks at how many runs there are, how often a row is
// written, and whether each run stays an interval of the log.
func TestRunsStayFew(t *testing.T) {
	const cuts = 5000
	r := rand.New(rand.NewPCG(1, 2))
	for _, largest := range []int64{40 << 10, 1500 << 10, 4 << 20} {
		p := planAt(0)
		var runs []lake.DataFile
		var added, written int64
		most := 0
		for i := range int64(cuts) {
			f := lake.DataFile{Path: fmt.Sprint(i), Bytes: 1000 + r.Int64N(largest), Spec: 1, Partition: testMonth, Min: lake.Bounds{Offset: i}, Max: lake.Bounds{Offset: i}}
			runs, added = append(runs, f), added+f.Bytes
			for merges := p.merges(runs); len(merges) > 0; merges = p.merges(runs) {
				runs, written = replaceRuns(t, runs, merges[0]), written+totalBytes(merges[0])
			}
			small := slices.DeleteFunc(slices.Clone(runs), func(f lake.DataFile) bool { return f.Bytes >= finalRun })
			most = max(most, len(small))
		}
		t.Logf("cuts of up to %d KB: %d runs that may merge at most, %d in the end, each byte written %.1f times", largest>>10, most, len(runs), 1+float64(written)/float64(added))
		if most > 7*5 {
			t.Errorf("cuts of up to %d KB: %d runs wait, want 7 of each of 5 levels at most", largest>>10, most)
		}
		if written > 6*added {
			t.Errorf("cuts of up to %d KB: each byte is rewritten %.1f times, want 6 at most", largest>>10, float64(written)/float64(added))
		}
	}
}

// replaceRuns merges some of runs, which must be adjacent.
func replaceRuns(t *testing.T, runs, merged []lake.DataFile) []lake.DataFile {
	t.Helper()
	at := slices.IndexFunc(runs, func(f lake.DataFile) bool { return f.Path == merged[0].Path })
	whole := merged[0]
	whole.Bytes = totalBytes(merged)
	for i, f := range merged {
		if runs[at+i].Path != f.Path {
			t.Fatalf("%s and %s merge, and are not adjacent", merged[0].Path, f.Path)
		}
		whole.Max.Offset = f.Max.Offset
	}
	return slices.Replace(runs, at, at+len(merged), whole)
}

// TestCutEndsWithAMonthOfLogTime posts events around the end of a month. Those of whole
// month and those of the next are in data files of their own.
func TestCutEndsWithAMonthOfLogTime(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		time.Sleep(time.Until(time.Date(2000, time.February, 1, 0, 0, 0, 0, time.UTC)) - 25*time.Second)
		p := w.start("p", Config{CutAge: time.Minute})
		for i := range 4 {
			w.postEveryVerdict(fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		p.stopAndWait()
		for _, table := range []lake.Table{lake.Events, lake.Changes, lake.DeadLetters} {
			months := map[int32]int64{}
			for _, f := range w.files(table) {
				months[f.Partition] += f.Rows
				if lake.MonthOf(f.Min.Arrival) != f.Partition || lake.MonthOf(f.Max.Arrival) != f.Partition {
					t.Errorf("%s: a file of month %d has rows from %d to %d", table, f.Partition, f.Min.Arrival, f.Max.Arrival)
				}
			}
			if len(months) != 2 || months[360] < 3 || months[361] < 1 {
				t.Errorf("%s: rows by month %v, want those of January and of February 2000", table, months)
			}
		}
		w.checkDone()
	})
}

// TestFilesBecomeRuns lets a processor go on while the layout of its lake evolves.
func TestFilesBecomeRuns(t *testing.T) {
	withHarnessOn(t, 2, (*laketest.Backend).OpenBeforeRuns, func(t *testing.T, w *harness) {
		var adopted atomic.Bool
		w.adoptRuns = func(context.Context) (bool, error) { return adopted.Load(), nil }
		w.manyFiles = true
		p := w.start("p", Config{CutAge: 10 * time.Second, CompactEvery: 20 * time.Second})
		post := func(from, to int) {
			for i := from; i < to; i++ {
				w.postEveryVerdict(fmt.Sprint(i))
				w.post(1, fmt.Sprint("other", i))
				time.Sleep(15 * time.Second)
			}
		}
		post(0, 20)
		specs := w.filesBySpec(lake.Events)
		if specs[0] == 0 || len(specs) != 1 {
			t.Errorf("files by spec before runs: %v", specs)
		}
		w.check()
		adopted.Store(true)
		post(20, 30)
		time.Sleep(quietAfter + 3*time.Minute)
		for _, table := range lake.Tables() {
			want := map[int32]int{1: 2}
			if table == lake.DeadLetters || table == lake.Changes {
				want = map[int32]int{1: 1}
			}
			if table == lake.DeadLetters {
				want = map[int32]int{0: 1}
			}
			if diff := cmp.Diff(want, w.filesBySpec(table)); diff != "" {
				t.Errorf("%s: files by spec (-want +got):\n%s", table, diff)
			}
		}
		p.stopAndWait()
		w.checkDone()
	})
}

// filesBySpec counts the data files of t by their partition spec.
func (w *harness) filesBySpec(t lake.Table) map[int32]int {
	w.t.Helper()
	specs := map[int32]int{}
	for _, f := range w.files(t) {
		specs[f.Spec]++
	}
	return specs
}

// TestCutTakesOneMonth gathers records around the end of a month: the open cut takes
// none of the next one.
func TestCutTakesOneMonth(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	february := time.Date(2000, time.February, 1, 0, 0, 0, 0, time.UTC)
	at := []time.Time{february.Add(-time.Second), february.Add(-time.Millisecond), february, february.Add(-time.Hour)}
	var records []*kgo.Record
	for i, ts := range at {
		records = append(records, eventRecord(int64(i), fmt.Sprint(i), ts))
	}
	for _, want := range []int64{2, 4} {
		n, err := g.gather(records, february)
		if err != nil {
			t.Fatal(err)
		}
		if full := g.atCutLimit(); g.state.Next != want || full != (n < len(records)) {
			t.Errorf("the cut ends at %d, full %v; want %d", g.state.Next, full, want)
		}
		records = records[n:]
		release(g.seal(february).rows)
	}
}

// TestRunsThatWaitAreShown counts what is due before it is merged, warns past the bound,
// and no longer once compaction has caught up.
func TestRunsThatWaitAreShown(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.fillCuts(runsPerMerge + 1)
		did, err := Compact(t.Context(), w.openLake(), CompactOptions{Tables: []lake.Table{lake.Events}, Due: true, Now: time.Now()})
		if err != nil || did.Waiting != runsPerMerge || did.Written != 1 {
			t.Errorf("compact = %+v, %v; want 8 files that waited to become one", did, err)
		}
		p := w.start("p", Config{CompactEvery: time.Minute})
		p.service.commits.waiting.Store(manyRuns + 1)
		if got := Warning(p.service); !strings.HasPrefix(got, "257 data files") {
			t.Errorf("warning %q, want one of 257 files", got)
		}
		time.Sleep(2 * time.Minute)
		if got := Warning(p.service); got != "" {
			t.Errorf("warning %q after compaction, want none", got)
		}
		p.stopAndWait()
	})
}
