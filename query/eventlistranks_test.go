package query

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/query/view"
	"weir/schemas/lake/laketest"
)

// fillYears appends n events of six years, of the 1960s and one of the future, many
// of them at one time, and commits most.
func (w *listWorld) fillYears(r *rand.Rand, n int) {
	w.t.Helper()
	for i := range n {
		e := randomEvent(r)
		switch r.IntN(6) {
		case 0:
			e.Time = listNow - r.Int64N(6*365*dayMS)
		case 1:
			e.Time -= e.Time % dayMS
		case 2:
			e.Time = -r.Int64N(40 * dayMS)
		}
		if i == n/2 {
			e.Time = listNow + 700*dayMS
		}
		w.append(int32(r.IntN(listShards)), e)
		if r.IntN(90) == 0 {
			h := w.shards[r.IntN(listShards)]
			w.commit(h.shard, h.state.Next+r.Int64N(1+h.next-h.state.Next))
		}
	}
}

// TestPageEqualsRanks compares pages, from both ends, of random periods and filters,
// with the ranks of all events in order.
func TestPageEqualsRanks(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 17))
		w := newListWorld(t, Config{})
		w.fillYears(r, 200+r.IntN(1500))
		if seed%2 == 0 {
			w.compact()
		}
		for range laketest.Repetitions(60) {
			w.checkPage(r, []int64{0, 50, 3}[seed%3])
		}
	}
}

// checkPage asks for a page, and for all ranks of the same question.
func (w *listWorld) checkPage(r *rand.Rand, maxKeys int64) {
	w.t.Helper()
	q := &eventsQuestion{scanned: randomPeriod(r, w.all(nil)), products: [][]int64{{1, 2, 3}, {2}, {1, 2, 3, 9}}[r.IntN(3)]}
	in := randomQuestion(r)
	in.nameEvents(r, slices.DeleteFunc(w.all(nil), func(s stored) bool { return s.Time < 0 })) // whose ids are none
	if r.IntN(3) == 0 {
		in.names, in.ids, in.realms, in.groups, in.roles, in.events, in.randomIDs = nil, nil, nil, nil, nil, nil, nil
	}
	filters := eventsFilters{Name: in.names, ID: in.events, RandomID: in.randomIDs, User: &eventsUserFilter{ID: in.ids, Realm: in.realms, Group: in.groups, Role: in.roles}}
	if err := q.setFilters(&filters); err != nil {
		w.t.Fatal(err)
	}
	if r.IntN(2) == 0 {
		q.watermark = view.Watermark{}
		for shard, h := range w.shards {
			q.watermark[int32(shard)] = listFirst + r.Int64N(1+h.next-listFirst)
		}
	}
	v, err := w.views.Plan(w.t.Context(), q.request())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	scan := &view.OrderedScan{
		View: v, From: q.scanned.from, To: q.scanned.to, Filter: q.filter(), Columns: q.columns(), Wants: q.wants, MaxKeys: maxKeys,
	}
	whole := w.allKeys(scan)
	newest := r.IntN(2) == 0
	if newest {
		slices.Reverse(whole)
	}
	total := int64(len(whole))
	skip, n := r.Int64N(total+2), 1+r.Int64N([]int64{3, 50, 1000}[r.IntN(3)])
	want := whole[min(skip, total):min(skip+n, total)]

	scan.Texts, scan.TextsDecide = q.texts(), q.textsDecide()
	got, counted, err := scan.Page(w.t.Context(), skip, n, newest)
	if err != nil || counted != total || len(got) != len(want) || (len(want) > 0 && cmp.Diff(want, got) != "") {
		w.t.Fatalf("%+v %v %v, %+v, %+v, newest %v, from %d on %d of %d: %d events, %v\n%s", q.scanned, q.products, q.watermark, filters, *filters.User, newest, skip, n, total, counted, err, cmp.Diff(want, got))
	}
}

// allKeys are all keys of a scan, ascending.
func (w *listWorld) allKeys(scan *view.OrderedScan) (out []view.EventKey) {
	w.t.Helper()
	all, err := scan.Count(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for keys, err := range scan.SelectRanks(w.t.Context(), all, 0, all.Total) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, keys...)
	}
	return out
}

// randomPeriod begins and ends at or beside an event, or far from all, or at 0.
func randomPeriod(r *rand.Rand, all []stored) interval {
	edge := func() int64 { return all[r.IntN(len(all))].Time + r.Int64N(3) - 1 }
	p := interval{edge(), edge()}
	switch r.IntN(5) {
	case 0, 1:
		p = interval{-100 * 365 * dayMS, listNow + 1000*dayMS}
	case 2:
		p = interval{[]int64{0, p.from}[r.IntN(2)], []int64{0, listNow}[r.IntN(2)]}
	}
	if p.to <= p.from {
		p = interval{p.to, p.from + 1}
	}
	return p
}
