package lake_test

import (
	"slices"
	"testing"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

func TestLoadOfAnEmptyTable(t *testing.T) {
	s := load(t, laketest.Lake(t, fastConfig()), lake.Clients)
	if s.ID() != 0 || len(s.ShardStates()) != 0 || !s.Time().IsZero() || len(files(t, s)) != 0 {
		t.Errorf("snapshot %d, %v at %v with %q", s.ID(), s.ShardStates(), s.Time(), files(t, s))
	}
}

func TestLoadReturnsSameSnapshotUntilACommit(t *testing.T) {
	w := laketest.New()
	l, other := open(t, w), open(t, w)
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 0, 10)}, lake.Committed)
	first := load(t, l, lake.Events)
	if load(t, l, lake.Events) != first {
		t.Error("a snapshot was loaded again although nothing had changed")
	}
	mustCommit(t, other, []lake.Cut{cut(t, other, 0, 10, 20)}, lake.Committed)
	if s := load(t, l, lake.Events); s == first || s.ShardStates()[0].Next != 20 {
		t.Errorf("next = %d after another process committed, want 20", s.ShardStates()[0].Next)
	}
	if first.ShardStates()[0].Next != 10 || len(files(t, first)) != 1 {
		t.Error("a snapshot changed")
	}
	if age := time.Since(first.Time()); age < 0 || age > time.Hour {
		t.Errorf("made %s ago", age)
	}
}

// A question loads while others commit and old metadata is dropped.
func TestLoadWhileOthersCommit(t *testing.T) {
	w := laketest.New()
	l, other := open(t, w), open(t, w)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := int64(0); ; i += 10 {
			select {
			case <-stop:
				return
			default:
				mustCommit(t, other, []lake.Cut{cut(t, other, 0, i, i+10)}, lake.Committed)
			}
		}
	}()
	for last := int64(0); last < 300; {
		s := load(t, l, lake.Events)
		next := s.ShardStates()[0].Next
		if next < last {
			t.Errorf("next went from %d to %d", last, next)
		}
		if got := int64(len(files(t, s))) * 10; got != next {
			t.Errorf("%d rows at offset %d", got, next)
		}
		last = next
	}
	close(stop)
	<-done
}

func TestDataFileBounds(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	const day = 20_000 * 24 * 60 * 60 * 1000
	for _, tbl := range lake.Tables() {
		f, err := l.MakeFile(tbl, 2, 100, 50)
		if err != nil {
			t.Fatal(err)
		}
		want := map[lake.Table]lake.Bounds{
			lake.DeadLetters: {Arrival: day, Offset: 100},
			lake.Changes:     {Product: 1, Client: 1, Time: day, Arrival: day, Offset: 100},
			lake.Events:      {Product: 1, Client: 1, Time: day, Arrival: day, Offset: 100},
			lake.ClientDays:  {Product: 1, Client: 1, Time: day},
			lake.EventDays:   {Product: 1, Client: 1, Time: day},
			lake.Clients:     {Product: 1, Client: 1, Time: day},
		}[tbl]
		partition := int32(657)
		if slices.Contains(lake.Rollups(), tbl) {
			partition = 0
		}
		if f.Min != want || f.Shard != 2 || f.Partition != partition || f.Rows != 50 {
			t.Errorf("%s: %+v, min %+v, want %+v", tbl, f, f.Min, want)
		}
		if tbl == lake.Clients && f.Max.Time != day+7 {
			t.Errorf("%s: max time = %d, want %d", tbl, f.Max.Time, int64(day+7))
		}
	}
}
