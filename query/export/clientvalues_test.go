package export

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// atDay is a time of a day.
func atDay(day, ms int64) stamp { return stamp{day*dayMS + ms, ms} }

// TestHistoryIsReadWhereSomethingIsMissing holds down how far back client_days is
// read: for most clients not at all.
func TestHistoryIsReadWhereSomethingIsMissing(t *testing.T) {
	const all, version = `{"prodVersion":"1","ram":8}`, `{"prodVersion":"1"}`
	type observed struct {
		at   stamp
		text string
	}
	check := func(name string, rows []stamp, own string, seen int64, learned []observed, want ...int32) {
		t.Helper()
		v := newClientValues(everyClient(), false, math.MaxInt64)
		for _, row := range rows {
			v.addRow(1, row, v.objects.propertySetOf(own))
		}
		c := v.find(1)
		c.seen = seen * dayMS
		for _, o := range learned {
			v.learnStored(c, o.at, v.objects.propertySetOf(o.text))
		}
		v.decideNeeds()
		var ends []int32
		for end := int32(math.MaxInt32); ; {
			to, wanted := clientsOf(1, v).lastWanted(end)
			if !wanted {
				break
			}
			ends = append(ends, to)
			end = to - 10
		}
		if diff := cmp.Diff(want, ends); diff != "" {
			t.Errorf("%s: ends of the days wanted (-want +got):\n%s", name, diff)
		}
	}
	day100 := []stamp{atDay(100, 50), atDay(100, 60)}
	check("nothing was ever reported", day100, "", 1, nil)
	check("rows report all themselves", day100, all, 1, []observed{{atDay(120, 0), all}})
	check("found before the rows", day100, "", 1, []observed{{atDay(100, 40), all}})
	check("found long before, and never since", day100, "", 1, []observed{{atDay(3, 0), all}})
	check("found in two places", day100, "", 1, []observed{{atDay(3, 0), all}, {atDay(100, 0), version}})
	check("one was reported again since", day100, "", 85, []observed{{atDay(100, 70), version}, {atDay(3, 0), `{"ram":8}`}}, 100, 90)
	check("reported for the first time afterwards", day100, "", 100, []observed{{atDay(100, 70), all}})
	check("an old one came late", day100, "", 85, []observed{{atDay(100, 70), all}, {atDay(3, 0), all}}, 100, 90)
	check("one that the rows report", day100, version, 85, []observed{{atDay(100, 70), version}})
	check("rows of other days", []stamp{atDay(70, 0), atDay(100, 0)}, "", 65, []observed{{atDay(3, 0), all}}, 100, 90, 80)
	check("rows of neighbouring days", []stamp{atDay(99, 0), atDay(100, 0)}, "", 95, []observed{{atDay(3, 0), all}})
}

// TestDaysOfFewClientsAreReadForThem: late events of some clients do not make the
// scan of their days one of all clients.
func TestDaysOfFewClientsAreReadForThem(t *testing.T) {
	v := newClientValues(everyClient(), false, math.MaxInt64)
	set := v.objects.propertySetOf(`{"ram":8}`)
	for id := int64(1); id <= maxDayClients+1; id++ {
		v.addRow(id, atDay(100, id), nil)
		v.addRow(id, atDay(101, id), nil)
	}
	for _, row := range []struct{ client, day int64 }{{7, 3}, {5, 4}, {7, 4}, {9, 4}, {9, 8}} {
		v.addRow(row.client, atDay(row.day, 0), nil)
	}
	for _, id := range []int64{5, 7} {
		v.learn(v.find(id), atDay(1, 0), set)
	}
	v.decideNeeds()
	want := []dayRange{{3, 5, []int64{5, 7}}, {8, 9, []int64{}}, {100, 102, []int64{5, 7}}}
	if diff := cmp.Diff(want, clientsOf(1, v).dayRanges(), cmp.AllowUnexported(dayRange{})); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

// TestObservationsWithoutEffectAreDropped: what a client reports over and over before
// its first row takes the room of one observation.
func TestObservationsWithoutEffectAreDropped(t *testing.T) {
	v := newClientValues(everyClient(), false, math.MaxInt64)
	v.addRow(1, atDay(100, 0), nil)
	for n := range int64(1000) {
		v.learn(v.find(1), atDay(n%100, n), v.objects.propertySetOf(`{"ram":8,"prodVersion":"1"}`))
		v.learn(v.find(1), atDay(n%100, n), v.objects.propertySetOf(`{"ram":9}`))
		if kept := len(v.find(1).observations); kept > 8 {
			t.Fatalf("%d observations are kept", kept)
		}
	}
	if v.bytes > clientBytes+dayRowsBytes+8+8*observationBytes {
		t.Errorf("%d bytes are counted", v.bytes)
	}
}
