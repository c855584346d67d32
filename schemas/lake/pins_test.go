package lake_test

import (
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

func TestOldestPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, laketest.New())
		commit := func(from int64) *lake.Snapshot {
			mustCommit(t, l, []lake.Cut{cut(t, l, 0, from, from+1)}, lake.Committed)
			return load(t, l, lake.Events)
		}
		want := func(when string, s *lake.Snapshot) {
			t.Helper()
			at := time.Time{}
			if s != nil {
				at = s.Time()
			}
			if got := lake.OldestPinned(l, time.Minute); !got.Equal(at) {
				t.Errorf("%s: the oldest is of %s, want %s", when, got, at)
			}
		}
		first := commit(0)
		time.Sleep(time.Hour)
		second := commit(1)
		one, two := first.Pin(), first.Pin()
		three := second.Pin()
		want("not read for long", nil)
		time.Sleep(time.Minute)
		want("both are read", first)
		one()
		want("one reader of two has left", first)
		two()
		want("only the second is read", second)
		time.Sleep(24 * time.Hour)
		want("a reader that is stuck", nil)
		three()
		defer second.Pin()()
		want("read again, not for long", nil)
	})
}
