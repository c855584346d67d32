package query

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/lake"
)

// TestOptOutsOfLargeDataFiles: where so many clients report the flag that their
// observations are not remembered, the answers are the same, the first time and
// after that, and while compaction and cuts add data files.
func TestOptOutsOfLargeDataFiles(t *testing.T) {
	const clients = 4200 // more than are remembered of a data file
	w := newReportWorld(t)
	say := func(client int64, ago int64, flag string) {
		w.add(0, schemas.Event{
			Product: 1, Client: client, Time: w.midday - ago*reportDay, Name: "Open", RandomID: "r", ClientProps: []byte(`{"optOut.current":` + flag + `}`),
		})
	}
	check := func(want ...int) {
		t.Helper()
		body := map[string]any{"startDate": "NOW-3", "stopDate": "NOW", "dateSplit": "day", "clientStatus": []any{"active"}}
		days := map[string]any{}
		for i, n := range want {
			days[w.date(3-i)] = map[string]any{"active": n}
		}
		for range 2 {
			got := w.envelope("generic/dateRange/1", body)["result"]
			if diff := cmp.Diff(encodedAnswer(t, days), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	}
	rolledUp := func() {
		w.commit(0, w.shards[0].next)
		for _, table := range lake.Rollups() {
			w.rollUp(table, 0, w.shards[0].next)
		}
	}
	for client := range int64(clients) {
		say(1+client, 3, `false,"machineId":"M`+[]string{"12", "12", ""}[min(client, 2)]+`"`)
	}
	say(1, 3, "true")
	say(2, 3, "false") // after client 1, which is of the same machine
	rolledUp()
	check(clients-1, 0, 0, 0)
	byMachine := w.envelope("generic/dateRange/1", map[string]any{
		"startDate": "NOW-3", "stopDate": "NOW", "clientStatus": []any{"active"}, "groupBy": "machineId",
	})
	if want := "map[totals:map[active:2]]"; fmt.Sprint(byMachine["result"]) != want {
		t.Errorf("by machine: %v, want %s", byMachine["result"], want)
	}
	say(7, 2, `"yes"`)
	say(8, 2, `true`)
	say(9, 2, `false`)
	rolledUp()
	check(clients-1, 1, 0, 0)
	say(7, 1, `null`)
	say(8, 1, `1`)
	check(clients-1, 1, 1, 0)
	rolledUp()
	check(clients-1, 1, 1, 0)
	for client := range int64(clients) {
		say(1+client, 0, fmt.Sprint(client >= 100))
	}
	rolledUp()
	check(clients-1, 1, 1, 100)
}

// TestOptOutsAgainstRawEvents asks every report about clients that do little
// else than opting out and in again.
func TestOptOutsAgainstRawEvents(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	w := newReportWorld(t)
	w.clients = 12
	for range 400 {
		shard, e := w.next(r)
		if r.IntN(2) == 0 {
			e.ClientProps = fmt.Appendf(nil, `{"optOut.current":%t,"machineId":"m%d"}`, r.IntN(2) == 0, r.IntN(3))
		}
		w.add(shard, e)
		if h := w.shards[shard]; r.IntN(30) == 0 {
			w.commit(shard, h.next)
			w.rollUp(lake.Rollups()[r.IntN(3)], shard, h.state.Next)
		}
	}
	g := newQuestionGenerator(t, r, w)
	for range 6 {
		for _, path := range naiveSorted(randomQuestions) {
			g.check(path, randomQuestions[path](g))
		}
	}
}
