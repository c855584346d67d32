package query

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/property"
	"weir/schemas/registry"
	"weir/schemas/rollup"
)

// clientEvent is a random event of product 1 to 3 that says something of its
// client. All events of a client are in one shard.
func clientEvent(r *rand.Rand) (shard int32, e schemas.Event) {
	e = randomEvent(r)
	e.Client, e.Name = 1+r.Int64N(30), fmt.Sprint("e", r.IntN(6))
	if r.IntN(8) == 0 {
		e.Name = schemas.SessionStart
	}
	if r.IntN(3) > 0 {
		category := []string{"", "File", "Édit"}[r.IntN(3)]
		e.Category = &category
	}
	if r.IntN(3) > 0 {
		key := []string{"null", `""`, `"<NULL>"`, `"K-1"`, `"K-2"`, `"K-3"`, `"\u00e4 \"x\""`, "17", `"` + strings.Repeat("x", 2000) + `"`}[r.IntN(9)]
		e.ClientProps = fmt.Appendf(nil, `{"licenseKey":%s,"os.version":"v%d","prodVersion":"1.%d"}`, key, r.IntN(3), r.IntN(40))
	}
	return int32(e.Client % listShards), e
}

// rolledWorld has rollups that are behind `events`, each by an amount of its
// own, and `events` behind the owners.
func rolledWorld(t *testing.T, r *rand.Rand, n int) *listWorld {
	t.Helper()
	w := newListWorld(t, Config{})
	for range n {
		shard, e := clientEvent(r)
		w.append(shard, e)
		h := w.shards[shard]
		if r.IntN(25) > 0 {
			continue
		}
		w.commit(shard, h.state.Next+1+r.Int64N(h.next-h.state.Next))
		for _, table := range lake.Rollups() {
			from := w.rolled[table][shard]
			if to := from + r.Int64N(h.state.Next-from+1); to > from {
				w.rollUp(table, shard, to)
			}
		}
	}
	return w
}

// of are the events of a product, by time and offset.
func (w *listWorld) of(product int64) []stored {
	rows := slices.DeleteFunc(w.all(nil), func(s stored) bool { return s.Product != product })
	slices.SortFunc(rows, func(a, b stored) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.offset, b.offset))
	})
	return rows
}

// reportedValue is the value of a client property in an event: false if the event
// has none.
func reportedValue(e *schemas.Event, property string) (text string, reported bool) {
	var all map[string]any
	if e.ClientProps == nil || json.Unmarshal(e.ClientProps, &all) != nil {
		return "", false
	}
	value, reported := all[property]
	if value == nil || value == "<NULL>" {
		return "", reported
	}
	return fmt.Sprint(value), reported
}

// TestRollupsAndTailAgreeWithEvents compares answers from rollups, from the events
// that they lack and from the tail with a naive reading of all events.
func TestRollupsAndTailAgreeWithEvents(t *testing.T) {
	for seed := range uint64(laketest.Repetitions(4)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := rolledWorld(t, rand.New(rand.NewPCG(seed, 4)), 100+300*int(seed%2))
			for _, product := range []int64{1, 2, 3} {
				checkSeenEvents(t, w, product)
				checkInstalls(t, w, product)
				checkPropertyValues(t, w, product)
			}
		})
	}
}

func (w *listWorld) rollups(product int64, tables ...lake.Table) *view.View {
	w.t.Helper()
	v, err := w.views.PlanRollups(w.t.Context(), product, nil, rollup.WantAll, tables...)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func checkSeenEvents(t *testing.T, w *listWorld, product int64) {
	t.Helper()
	want := map[registry.EventName]int64{}
	for _, s := range w.of(product) {
		e := registry.EventName{Name: s.Name}
		if s.Category != nil && *s.Category != "" {
			e.HasCategory, e.Category = true, *s.Category
		}
		if _, later := want[e]; !later && s.Name != schemas.SessionStart {
			want[e] = s.Time
		}
	}
	v := w.rollups(product, lake.EventDays)
	defer v.Close()
	got, others, err := firstSeenTimes(t.Context(), v, product, 100)
	if err != nil || others {
		t.Fatal(others, err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("product %d: -want +got\n%s", product, diff)
	}
	// Of more events than are named, those that were seen first are.
	bySeen := slices.SortedFunc(maps.Keys(want), func(a, b registry.EventName) int {
		return cmp.Or(cmp.Compare(want[a], want[b]), cmp.Compare(a.Category, b.Category), cmp.Compare(a.Name, b.Name))
	})
	for most := range len(want) {
		first := map[registry.EventName]int64{{Name: report.OtherEvents}: want[bySeen[most]]}
		for _, e := range bySeen[:most] {
			first[e] = want[e]
		}
		got, others, err := firstSeenTimes(t.Context(), v, product, most)
		if err != nil || !others {
			t.Fatal(others, err)
		}
		if diff := gocmp.Diff(first, got); diff != "" {
			t.Errorf("product %d, %d names: -want +got\n%s", product, most, diff)
		}
	}
}

func checkInstalls(t *testing.T, w *listWorld, product int64) {
	t.Helper()
	current := map[int64]string{}
	for _, s := range w.of(product) {
		if key, reported := reportedValue(&s.Event, property.NameLicenseKey); reported {
			current[s.Client] = key
		}
	}
	want := map[string]int64{}
	for _, key := range current {
		if key != "" && len(key) <= registry.MaxLicenseKey {
			want[key]++
		}
	}
	v := w.rollups(product, lake.Clients)
	defer v.Close()
	for _, budget := range []int{1 << 20, 600, 1} {
		got := map[string]int64{}
		for n := (installs{budget: budget}); ; n = (installs{from: n.to, budget: budget}) {
			if err := n.count(t.Context(), v, product); err != nil {
				t.Fatal(err)
			}
			maps.Copy(got, n.counts)
			if !n.bounded {
				break
			}
			if n.to <= n.from {
				t.Fatalf("a range of keys from %q to %q", n.from, n.to)
			}
		}
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("product %d, budget %d: -want +got\n%s", product, budget, diff)
		}
	}
}

func checkPropertyValues(t *testing.T, w *listWorld, product int64) {
	t.Helper()
	want := []string{}
	for _, s := range w.of(product) {
		if text, reported := reportedValue(&s.Event, "prodVersion"); reported {
			want = append(want, text)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	f := columns.Filter{Products: []int64{product}}
	from, err := w.views.Plan(t.Context(), view.Request{Columns: []string{columns.Client}, Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for _, limit := range []int{1, 2, 3, 100} {
		var got []string
		for after, more := "", true; more; {
			v := valueSet{wants: func(string) bool { return true }, limit: limit, after: after, values: map[string]struct{}{}}
			if err := v.gather(t.Context(), from, f, "prodVersion"); err != nil {
				t.Fatal(err)
			}
			var answer struct {
				Result []propertyValue
				Last   string
			}
			text, err := json.Marshal(v.answer(false))
			if err == nil {
				err = json.Unmarshal(text, &answer, json.MatchCaseInsensitiveNames(true))
			}
			if err != nil || len(answer.Result) > limit {
				t.Fatalf("%s: %v", text, err)
			}
			for _, value := range answer.Result {
				got = append(got, value.Value)
			}
			after, more = lastValueOf(t, text)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("product %d, pages of %d: -want +got\n%s", product, limit, diff)
		}
	}
}

func lastValueOf(t *testing.T, answer []byte) (last string, more bool) {
	t.Helper()
	var read struct {
		Last *string `json:"lastValue"`
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		t.Fatal(err)
	}
	if read.Last == nil {
		return "", false
	}
	return *read.Last, true
}

// TestPropertyValuesAreBoundedByBytes: large values make pages shorter than their
// limit.
func TestPropertyValuesAreBoundedByBytes(t *testing.T) {
	var got []string
	for after, more := "", true; more; {
		v := valueSet{wants: func(string) bool { return true }, limit: valuesPage, after: after, values: map[string]struct{}{}}
		for i := range 20 {
			v.add(string(rune('a'+(i*7)%20)) + strings.Repeat("x", 1<<20))
		}
		text, err := json.Marshal(v.answer(false))
		if err != nil {
			t.Fatal(err)
		}
		after, more = lastValueOf(t, text)
		for _, value := range slices.Sorted(maps.Keys(v.values)) {
			got = append(got, value[:1])
		}
	}
	if want := "abcdefghijklmnopqrst"; strings.Join(got, "") != want {
		t.Errorf("values %q, want %s", got, want)
	}
}

// TestLicenseKeysAreCollected lists keys that clients report beside one that
// was uploaded, in small pages.
func TestLicenseKeysAreCollected(t *testing.T) {
	w := newListWorld(t, Config{})
	for client, key := range []string{"K-1", "K-2", "K-1", "K-0", "gone", "K-3"} {
		e := randomEvent(rand.New(rand.NewPCG(1, uint64(client))))
		e.Product, e.Client, e.ClientProps = 1, int64(client+1), fmt.Appendf(nil, `{"licenseKey":%q}`, key)
		w.append(0, e)
		if key == "gone" {
			e.Time, e.ClientProps = e.Time+1, []byte(`{"licenseKey":null}`)
			w.append(0, e)
		}
	}
	w.commit(0, listFirst+2)
	user, err := w.deps.Registry.CreateUser(t.Context(), registry.User{Account: w.account, Email: "ann@example.org"}, listPassword)
	if err != nil {
		t.Fatal(err)
	}
	session, err := w.deps.Registry.NewSession(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, body string) string {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: session.ID})
		out := httptest.NewRecorder()
		w.Handler().ServeHTTP(out, r)
		if out.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", body, out.Code, out.Body)
		}
		return out.Body.String()
	}
	ask("/v3/license-key-registry/update/1", `{"keyUpdates":[{"licenseKey":"K-1","installQuota":1},{"licenseKey":"K-9"}]}`)

	var got []string
	for next := ""; ; {
		var page struct {
			Result  []license `json:"result"`
			Reached bool      `json:"reachedEnd"`
			Next    string    `json:"nextLicenseKey"`
		}
		text := ask("/v3/license-key-registry/1", fmt.Sprintf(`{"limit":2,"startAtLicenseKey":%q}`, next))
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Result {
			got = append(got, fmt.Sprintf("%s: %d of %d, over by %d, collected %v", l.Key, l.Installs, l.Quota, l.OverQuota, l.Collected))
		}
		if page.Reached {
			break
		}
		next = page.Next
	}
	want := []string{
		"K-0: 1 of 1, over by 0, collected true", "K-1: 2 of 1, over by 1, collected false", "K-2: 1 of 1, over by 0, collected true",
		"K-3: 1 of 1, over by 0, collected true", "K-9: 0 of 1, over by -1, collected false",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("license keys: -want +got\n%s", diff)
	}
	over := ask("/v3/license-key-registry/1", `{"filters":{"overQuotaCount":{"type":"numberRange","min":1}}}`)
	if !strings.Contains(over, `"K-1"`) || strings.Contains(over, `"K-2"`) {
		t.Errorf("keys over their quota: %s", over)
	}
}
