package lake_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// byPartition are files by their partition.
func byPartition(files []lake.DataFile) map[int32][]lake.DataFile {
	out := map[int32][]lake.DataFile{}
	for _, f := range files {
		out[f.Partition] = append(out[f.Partition], f)
	}
	return out
}

func TestMergeEvents(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := laketest.Lake(t, lake.Config{Memory: mem})
	r := rand.New(rand.NewPCG(4, 4))
	var files []lake.DataFile
	var want []string
	events := randomEvents(r, 900)
	for cut := range 9 {
		batches := buildBatches(t, memory.DefaultAllocator, 1, int64(cut)*100, 30, events[cut*100:cut*100+100])
		want = append(want, lines(t, batches...)...)
		more, err := l.WriteEvents(t.Context(), 1, batches)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	whole, err := l.WriteEvents(t.Context(), 1, buildBatches(t, memory.DefaultAllocator, 1, 0, 900, events))
	if err != nil {
		t.Fatal(err)
	}
	parts := byPartition(files)
	var got []string
	for _, one := range whole {
		merged, err := l.Merge(t.Context(), lake.Events, parts[one.Partition])
		if err != nil {
			t.Fatal(err)
		}
		if len(merged) != 1 || merged[0].Rows != one.Rows || merged[0].Min != one.Min || merged[0].Max != one.Max {
			t.Errorf("merged %d files to %+v, want %+v", len(parts[one.Partition]), merged, one)
		}
		rows := scan(t, l, merged, nil)
		if diff := cmp.Diff(scan(t, l, []lake.DataFile{one}, nil), rows); diff != "" {
			t.Errorf("order of month %d: %s", one.Partition, diff)
		}
		got = append(got, rows...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// rollupRows returns all rows of the rollup tables as text.
func rollupRows(t testing.TB, l *lake.Lake, files map[lake.Table][]lake.DataFile) []string {
	t.Helper()
	var out []string
	add := func(r any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%+v", r))
	}
	for r, err := range l.ScanClientDays(t.Context(), files[lake.ClientDays], columns.Filter{}) {
		add(*r, err)
	}
	for r, err := range l.ScanEventDays(t.Context(), files[lake.EventDays], columns.Filter{}) {
		add(*r, err)
	}
	for r, err := range l.ScanClients(t.Context(), files[lake.Clients], columns.Filter{TimeFrom: 1, TimeTo: 2}) {
		add(*r, err)
	}
	return out
}

// setRows returns the rows of a set, in the form of rollupRows.
func setRows(s *rollup.Set) []string {
	var out []string
	for r := range s.ClientDays() {
		out = append(out, fmt.Sprintf("%+v", *r))
	}
	for r := range s.EventDays() {
		out = append(out, fmt.Sprintf("%+v", *r))
	}
	for r := range s.Clients() {
		out = append(out, fmt.Sprintf("%+v", *r))
	}
	return out
}

func TestScanAndMergeRollups(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := laketest.Lake(t, lake.Config{Memory: mem})
	r := rand.New(rand.NewPCG(5, 5))
	all, deltas := rollup.NewSet(), map[lake.Table][]lake.DataFile{}
	for cut := range 7 {
		set := rollup.NewSet()
		for _, rec := range buildBatches(t, memory.DefaultAllocator, 2, int64(cut)*200, 50, withStorableTimes(randomEvents(r, 200))) {
			if err := set.AddBatch(rec); err != nil {
				t.Fatal(err)
			}
		}
		files, err := l.WriteRollups(t.Context(), 2, set)
		if err != nil {
			t.Fatal(err)
		}
		want, got := setRows(set), rollupRows(t, l, files)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("cut %d: (-want +got)\n%s", cut, diff)
		}
		all.Merge(set)
		for table, more := range files {
			deltas[table] = append(deltas[table], more...)
		}
	}
	merged := map[lake.Table][]lake.DataFile{}
	for table, files := range deltas {
		for _, part := range byPartition(files) {
			one, err := l.Merge(t.Context(), table, part)
			if err != nil {
				t.Fatal(err)
			}
			if len(one) != 1 {
				t.Errorf("%s: %d files became %d", table, len(part), len(one))
			}
			merged[table] = append(merged[table], one...)
		}
	}
	want, got := setRows(all), rollupRows(t, l, merged)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("merged: (-want +got)\n%s", diff)
	}
}

// TestStoredSumsFitTheirColumns writes and merges rollups of records of versions before,
// whose values have up to 38 digits and whose runtimes 64 bits: no sum in a data file
// has more digits than decimal(38,9), which other engines refuse to read, or is negative.
func TestStoredSumsFitTheirColumns(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	files := map[lake.Table][]lake.DataFile{}
	for cut := range 3 {
		var events []schemas.Event
		for i := range 40 {
			value := decimal128.GetMaxValue(int32(30 + i%9))
			events = append(events, schemas.Event{
				Product: 1, Client: int64(1 + i%20), Time: 1_700_000_000_000, Name: "session_stop", RandomID: "r",
				Value: &value, RuntimeMS: new(math.MaxInt64 - int64(i)),
			})
		}
		set := rollup.NewSet()
		for _, rec := range buildBatches(t, memory.DefaultAllocator, 0, int64(cut)*40, 40, events) {
			if err := set.AddBatch(rec); err != nil {
				t.Fatal(err)
			}
		}
		made, err := l.WriteRollups(t.Context(), 0, set)
		if err != nil {
			t.Fatal(err)
		}
		for table, more := range made {
			files[table] = append(files[table], more...)
		}
	}
	check := func(what string) {
		t.Helper()
		sums := 0
		for b, err := range l.EventBatches(t.Context(), files[lake.EventDays], columns.Filter{}, rollup.WantAll) {
			if err != nil {
				t.Fatal(err)
			}
			for _, sum := range b.ValueSum {
				if sums++; !sum.FitsInPrecision(38) || sum.Sign() < 0 {
					t.Errorf("%s: a sum of values is %s", what, sum.ToString(9))
				}
			}
		}
		for b, err := range l.ClientBatches(t.Context(), files[lake.Clients], columns.Filter{}, rollup.WantAll) {
			if err != nil {
				t.Fatal(err)
			}
			for _, sum := range b.RuntimeMS {
				if sums++; sum != rollup.OverflowedRuntime {
					t.Errorf("%s: a runtime is %d", what, sum)
				}
			}
		}
		if sums < 40 {
			t.Errorf("%s: %d sums", what, sums)
		}
	}
	check("written")
	for table, all := range files {
		var merged []lake.DataFile
		for _, part := range byPartition(all) {
			one, err := l.Merge(t.Context(), table, part)
			if err != nil {
				t.Fatal(err)
			}
			merged = append(merged, one...)
		}
		files[table] = merged
	}
	check("merged")
}

func TestWriteSomeRollups(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	set := rollup.NewSet()
	files, err := l.WriteRollups(t.Context(), 2, set, lake.Clients)
	if err != nil || len(files) != 1 || len(files[lake.Clients]) != 0 {
		t.Errorf("nothing written: %v %v", files, err)
	}
	if _, err := l.WriteRollups(t.Context(), 2, set, lake.Events); err == nil {
		t.Error("events were written as a rollup")
	}
}

func TestScanAndMergeDeadLetters(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	letter := func(offset int64) lake.DeadLetter {
		return lake.DeadLetter{
			Shard: 6, Offset: offset, Arrival: 1_700_000_000_000 + offset, Reason: fmt.Sprintf("reason %d", offset%2),
			Key: []byte{byte(offset)}, Value: []byte("v"),
		}
	}
	none := lake.DeadLetter{Shard: 6, Offset: 3, Arrival: 1_700_000_000_000}
	first, err := l.WriteDeadLetters(t.Context(), 6, []lake.DeadLetter{letter(5), letter(1), none})
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.WriteDeadLetters(t.Context(), 6, []lake.DeadLetter{letter(2), letter(9)})
	if err != nil {
		t.Fatal(err)
	}
	merged, err := l.Merge(t.Context(), lake.DeadLetters, append(first, second...))
	if err != nil {
		t.Fatal(err)
	}
	read := func(f columns.Filter) (got []lake.DeadLetter) {
		for r, err := range l.ReadDeadLetters(t.Context(), merged, f) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		return got
	}
	if diff := cmp.Diff([]lake.DeadLetter{letter(1), letter(2), none, letter(5), letter(9)}, read(columns.Filter{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	some := columns.Filter{OffsetFrom: map[int32]int64{6: 2}, OffsetTo: map[int32]int64{6: 5}}
	if diff := cmp.Diff([]lake.DeadLetter{letter(2), none}, read(some)); diff != "" {
		t.Errorf("from 2 to 5: (-want +got)\n%s", diff)
	}
}

func TestMergeRefusesFilesOfTwoShards(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	a, err := l.WriteDeadLetters(t.Context(), 1, []lake.DeadLetter{{Shard: 1}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.WriteDeadLetters(t.Context(), 2, []lake.DeadLetter{{Shard: 2}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Merge(t.Context(), lake.DeadLetters, append(a, b...)); err == nil {
		t.Error("files of two shards became one")
	}
	if none, err := l.Merge(t.Context(), lake.Events, nil); err != nil || none != nil {
		t.Errorf("nothing merged: %v %v", none, err)
	}
}

// streaming is a store that takes streams.
type streaming struct {
	*laketest.Store
	uploads int
	fail    error
}

func (s *streaming) Upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	s.uploads++
	if s.fail != nil {
		_, _ = io.CopyN(io.Discard, r, 1<<20)
		return 0, s.fail
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(r); err != nil {
		return 0, err
	}
	return int64(body.Len()), s.Put(ctx, key, body.Bytes())
}
