package query

import (
	"math"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

func TestEventUUID(t *testing.T) {
	for text, key := range map[string]view.EventKey{
		"00000000-0000-8000-8000-000000000000": {},
		"018f2f82-4a9b-8004-8000-00000000007b": {Time: 0x018f2f824a9b, Shard: 1, Offset: 123},
		"ffffffff-ffff-8ffd-bfff-ffffffffffff": {Time: maxIDTime, Shard: view.MaxShards - 1, Offset: math.MaxInt64},
	} {
		if got := string(appendEventUUID(nil, key)); got != text {
			t.Errorf("%+v: %s, want %s", key, got, text)
		}
		if got, ok := parseEventUUID(text); !ok || got != key {
			t.Errorf("%s: %+v %v, want %+v", text, got, ok, key)
		}
	}
	for time, want := range map[int64]int64{-1: 0, maxIDTime + 1: maxIDTime, math.MaxInt64: maxIDTime} {
		key, ok := parseEventUUID(string(appendEventUUID(nil, view.EventKey{Time: time, Offset: 5})))
		if from, to := idPeriod(key); !ok || key.Time != want || key.Offset != 5 || time < from || time > to {
			t.Errorf("time %d: %+v %v, searched from %d to %d", time, key, ok, from, to)
		}
	}
	for _, text := range []string{
		"", "id-1", "f0c7a781-8956-492c-8961-60fcefca2328", "018f2f82-4a9b-8006-8000-00000000007b", "018f2f82-4a9b-8004-c000-00000000007b",
		"018f2f824a9b8004800000000000007b", "{018f2f82-4a9b-8004-8000-00000000007b}", "urn:uuid:018f2f82-4a9b-8004-8000-00000000007b",
	} {
		if key, ok := parseEventUUID(text); ok {
			t.Errorf("%q was read as %+v", text, key)
		}
	}
}

// FuzzParseEventUUID reads anything as an id: it is refused, or it is the id of one
// place, and written back as it was.
func FuzzParseEventUUID(f *testing.F) {
	f.Add("018f2f82-4a9b-8004-8000-00000000007b")
	f.Add("FFFFFFFF-FFFF-8FFD-BFFF-FFFFFFFFFFFF")
	f.Add("f0c7a781-8956-492c-8961-60fcefca2328")
	f.Fuzz(func(t *testing.T, text string) {
		key, ok := parseEventUUID(text)
		if !ok {
			return
		}
		again, ok := parseEventUUID(string(appendEventUUID(nil, key)))
		if !ok || again != key || key.Time < 0 || key.Offset < 0 || key.Shard < 0 || key.Shard >= view.MaxShards {
			t.Errorf("%q: %+v, then %+v %v", text, key, again, ok)
		}
	})
}

// listAll returns the results of every page of 50 as the service answers them
// now, by id; it fails if an id comes twice.
func (w *listWorld) listAll() map[string]any {
	w.t.Helper()
	q := everything()
	q.perPage = 50
	found := map[string]any{}
	for q.page = 1; ; q.page++ {
		rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body())
		answer, _ := generic(rec.Body.Bytes()).(map[string]any)
		results, _ := answer["results"].([]any)
		for _, result := range results {
			id := result.(map[string]any)["id"].(string)
			if found[id] != nil {
				w.t.Errorf("two results have id %s", id)
			}
			found[id] = result
		}
		if len(results) < q.perPage {
			return found
		}
	}
}

// TestEventIDsStay lists random events, of which many share a random_id, then
// commits, compacts, restarts and lets more come: each event keeps its id, no
// two have one, and filters.id finds the event and no other, among a day or a
// year alike.
func TestEventIDsStay(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	w := newListWorld(t, Config{})
	w.fill(r, 300)
	before := w.listAll()
	for shard := range int32(listShards) {
		w.commit(shard, w.shards[shard].next)
		w.drop(shard, w.shards[shard].next)
	}
	w.compact()
	restarted, err := New(Config{}, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = restarted
	w.fill(r, 100)
	after := w.listAll()
	if len(after) <= len(before) {
		t.Fatalf("%d events, then %d", len(before), len(after))
	}
	for id, event := range before {
		if diff := cmp.Diff(event, after[id]); diff != "" {
			t.Errorf("event %s has changed (-before +after):\n%s", id, diff)
		}
	}
	for id, event := range after {
		if r.IntN(10) > 0 {
			continue
		}
		q := everything()
		q.events, q.page = []string{id}, 0
		rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body())
		if rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if diff := cmp.Diff([]any{event}, generic(rec.Body.Bytes()).(map[string]any)["results"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

// TestLookupReadsOneDay: the id says when its event was, so a lookup over most of
// a year still answers when the data files of all other months are gone.
func TestLookupReadsOneDay(t *testing.T) {
	w := newListWorld(t, Config{})
	for month := range int64(9) {
		e := randomEvent(rand.New(rand.NewPCG(uint64(month), 1)))
		e.Product, e.Time = 1, listNow-month*31*24*3600_000
		w.append(0, e)
		w.commit(0, w.shards[0].next)
	}
	wanted := w.shards[0].log[4]
	snap, err := w.deps.Lake.Load(t.Context(), lake.Events)
	if err != nil {
		t.Fatal(err)
	}
	files, err := snap.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lake.Prune(files, columns.Filter{TimeFrom: wanted.Time + 1}) {
		if err := w.lake.Store.Delete(t.Context(), f.Path); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range lake.Prune(files, columns.Filter{TimeTo: wanted.Time}) {
		if err := w.lake.Store.Delete(t.Context(), f.Path); err != nil {
			t.Fatal(err)
		}
	}
	q := everything()
	if rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body()); rec.Code == http.StatusOK {
		t.Fatal("the whole list needs files that are gone")
	}
	q.events = []string{naiveID(wanted)}
	rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body())
	if diff := cmp.Diff(any(q.answer(w.all(nil), []int64{1})), generic(rec.Body.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
