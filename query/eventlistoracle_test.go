package query

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/lake/laketest"
)

// What the naive oracle is asked. It is code of its own: it knows the events,
// not how the service finds them.
type naiveQuestion struct {
	start, end    int64 // epoch seconds
	names         []string
	ids           []string
	events        []string // ids of answers; nil: no filter
	randomIDs     []string
	realms        []string
	groups        []string
	roles         []string
	page, perPage int // 0: no paging
	oldest        bool
}

func (q naiveQuestion) body() string {
	in := map[string]any{
		"startDate": time.Unix(q.start, 0).UTC().Format("2006-01-02T15:04:05"),
		"endDate":   time.Unix(q.end, 0).UTC().Format("2006-01-02T15:04:05"),
		"unknown":   map[string]any{"x": 1},
		"filters": map[string]any{
			"name": q.names, "id": q.events, "randomId": q.randomIDs,
			"user": map[string]any{"id": q.ids, "realm": q.realms, "group": q.groups, "role": q.roles},
		},
	}
	if q.page > 0 {
		in["paging"] = map[string]any{"page": q.page, "perPage": q.perPage}
	}
	if q.oldest {
		in["sortOrder"] = "oldestFirst"
	}
	text, _ := json.Marshal(in)
	return string(text)
}

func (q naiveQuestion) wants(s stored, products []int64) bool {
	if !slices.Contains(products, s.Product) || s.Time < q.start*1000 || s.Time >= q.end*1000 {
		return false
	}
	u := struct {
		ID     string
		Realm  []string
		Groups []string
		Roles  []string
	}{}
	json.Unmarshal(s.User, &u)
	if u.ID == "" {
		u.ID = fmt.Sprint(s.Client)
	}
	one := func(wanted []string, has ...string) bool {
		for _, want := range wanted {
			for _, h := range has {
				if h == want && h != "" {
					return true
				}
			}
		}
		return len(wanted) == 0
	}
	return one(q.names, s.Name) && one(q.events, naiveID(s)) && one(q.randomIDs, s.RandomID) && one(q.ids, u.ID) && one(q.realms, u.Realm...) && one(q.groups, u.Groups...) && one(q.roles, u.Roles...)
}

// answer is the whole answer, as generic JSON.
func (q naiveQuestion) answer(all []stored, products []int64) map[string]any {
	var found []stored
	for _, s := range all {
		if q.wants(s, products) {
			found = append(found, s)
		}
	}
	sort.Slice(found, func(i, j int) bool {
		a, b := found[i], found[j]
		if !q.oldest {
			a, b = b, a
		}
		if a.Time != b.Time {
			return a.Time < b.Time
		}
		if a.shard != b.shard {
			return a.shard < b.shard
		}
		return a.offset < b.offset
	})
	page, perPage := q.page, q.perPage
	if page == 0 {
		page, perPage = 1, 10
	}
	total := len(found)
	from := min((page-1)*perPage, total)
	results := []any{}
	for _, s := range found[from:min(from+perPage, total)] {
		results = append(results, naiveResult(s))
	}
	return map[string]any{
		"startDate": time.Unix(q.start, 0).UTC().Format("2006-01-02T15:04:05"),
		"endDate":   time.Unix(q.end, 0).UTC().Format("2006-01-02T15:04:05"),
		"paging": map[string]any{
			"page": float64(page), "perPage": float64(perPage), "totalCount": float64(total), "lastPage": page*perPage >= total,
		},
		"results": results,
	}
}

// naiveID writes the 128 bits of an id one after the other.
func naiveID(s stored) string {
	bits := fmt.Sprintf("%048b1000%010b0%063b", s.Time, s.shard, s.offset)
	bits = bits[:64] + "10" + bits[64:]
	n, _ := new(big.Int).SetString(bits, 2)
	hex := fmt.Sprintf("%032x", n)
	return hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:]
}

func naiveResult(s stored) map[string]any {
	out := map[string]any{
		"datetime": float64(s.Time), "id": naiveID(s), "randomId": s.RandomID, "name": s.Name, "tenantId": fmt.Sprint(s.Product),
		"parameters": map[string]any{}, "user": map[string]any{"id": fmt.Sprint(s.Client)},
	}
	for field, v := range map[string]string{
		"appName": s.AppName, "appVersion": s.AppVersion, "contentLocale": s.ContentLocale, "sessionId": s.SessionID,
		"uiLocale": s.UILocale, "userAgent": s.UserAgent, "userIp": s.IP,
	} {
		if v != "" {
			out[field] = v
		}
	}
	if s.Offline != nil {
		out["offline"] = *s.Offline
	}
	if s.Properties != nil {
		out["parameters"] = generic(s.Properties)
	}
	if s.AppName == "" && s.AppKey != "" {
		out["appName"] = s.AppKey
	}
	if s.User != nil {
		user := generic(s.User).(map[string]any)
		if user["id"] == nil {
			user["id"] = fmt.Sprint(s.Client)
		}
		out["user"] = user
	}
	return out
}

func generic(text []byte) any {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err.Error()
	}
	return v
}

func randomQuestion(r *rand.Rand) naiveQuestion {
	some := func(of ...string) []string {
		if r.IntN(3) > 0 {
			return nil
		}
		return of[:r.IntN(len(of)+1)]
	}
	now := int64(listNow / 1000)
	q := naiveQuestion{
		start: now - []int64{200 * 24 * 3600, 24 * 3600, 2}[r.IntN(3)], end: now + 1 - r.Int64N(2)*r.Int64N(60),
		names: some("a", "é", "zzz"), ids: some("u1", "100", "103", "nobody"), realms: some("r1", "r2"),
		groups: some("g2", "g9"), roles: some("x", "y"), oldest: r.IntN(2) == 0,
	}
	q.end = max(q.end, q.start+1)
	if r.IntN(4) > 0 {
		q.page, q.perPage = 1+r.IntN(6), []int{1, 3, 10, 100, 1000}[r.IntN(5)]
	}
	return q
}

// nameEvents makes some questions name a few events, by either of their ids.
func (q *naiveQuestion) nameEvents(r *rand.Rand, all []stored) {
	for range r.IntN(4) {
		s := all[r.IntN(len(all))]
		switch r.IntN(4) {
		case 0:
			q.events = append(q.events, naiveID(s))
		case 1:
			q.randomIDs = append(q.randomIDs, s.RandomID)
		}
	}
}

// TestEventsAgree compares answers with the oracle's, over events that lie
// partly in the lake and partly with their owners; with little memory, so that
// the order has to be found in several looks.
func TestEventsAgree(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := newListWorld(t, Config{})
		w.events.maxKeys = []int64{0, 40, 3}[seed%3]
		w.events.maxPageBytes = []int{0, 600}[seed%2]
		w.fill(r, 300+r.IntN(900))
		for range laketest.Repetitions(15) {
			q := randomQuestion(r)
			q.nameEvents(r, w.all(nil))
			token, products := "A", []int64{1, 2, 3}
			if r.IntN(4) == 0 {
				token, products = "A2", []int64{2}
			}
			rec := w.post(eventsPath, "Bearer "+w.tokens[token], q.body())
			if rec.Code != http.StatusOK {
				t.Fatalf("seed %d: status %d: %s", seed, rec.Code, rec.Body)
			}
			if diff := cmp.Diff(any(q.answer(w.all(nil), products)), generic(rec.Body.Bytes())); diff != "" {
				t.Fatalf("seed %d: %s\n(-want +got):\n%s", seed, q.body(), diff)
			}
			if got, want := rec.Header().Get(headerWatermark), w.newest().String(); got != want || rec.Header().Get(headerPartial) != "" {
				t.Fatalf("seed %d: watermark %s, partial %q, want %s and none", seed, got, rec.Header().Get(headerPartial), want)
			}
		}
	}
}

// TestUserEventsAgree does the same for the User Events API.
func TestUserEventsAgree(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 4))
		w := newListWorld(t, Config{})
		w.userEvents.maxKeys = []int64{0, 40, 3}[seed%3]
		w.fill(r, 300+r.IntN(900))
		for range laketest.Repetitions(15) {
			client := 100 + r.Int64N(5)
			from, until := listNow-r.Int64N(100*24*3600_000), listNow-r.Int64N(2)*r.Int64N(100_000)
			if from > until {
				continue
			}
			body := fmt.Sprintf(`{"refId":"%d","from":%q,"until":%q}`, client, iso(from), iso(until))
			rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], body)
			if rec.Code != http.StatusOK {
				t.Fatalf("seed %d: status %d: %s", seed, rec.Code, rec.Body)
			}
			if diff := cmp.Diff(any(naiveUserEvents(w.all(nil), client, from, until)), generic(rec.Body.Bytes())); diff != "" {
				t.Fatalf("seed %d: %s\n(-want +got):\n%s", seed, body, diff)
			}
		}
	}
}

// naiveUse compares an event with every other.
func naiveUse(s stored, all []stored) bool {
	kindOfUse := func(e stored) bool { return e.Name != "session_stop" && e.Name != "exception" && e.Exception == nil }
	day := func(e stored) time.Time { return time.UnixMilli(e.Time).UTC().Truncate(24 * time.Hour) }
	before := func(e stored) bool {
		return e.Product == s.Product && e.Client == s.Client && e.SessionID == s.SessionID && kindOfUse(e) &&
			e.shard == s.shard && e.offset < s.offset && day(e).Sub(day(s)).Abs() <= 24*time.Hour
	}
	return kindOfUse(s) && (s.SessionID == "" || !slices.ContainsFunc(all, before))
}

func iso(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

func naiveUserEvents(all []stored, client, from, until int64) []any {
	slices.SortFunc(all, func(a, b stored) int {
		return strings.Compare(
			fmt.Sprintf("%020d %05d %020d", a.Time, a.shard, a.offset), fmt.Sprintf("%020d %05d %020d", b.Time, b.shard, b.offset))
	})
	rows := []any{}
	for _, s := range all {
		if s.Client == client && s.Product != 9 && s.Time >= from && s.Time <= until && naiveUse(s, all) {
			rows = append(rows, map[string]any{"id": float64(s.offset*1024 + int64(s.shard)), "dateEvent": iso(s.Time)})
		}
	}
	return rows
}
