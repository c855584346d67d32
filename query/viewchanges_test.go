package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

func changeBatch(mem memory.Allocator, rows []lake.Change) []arrow.Record {
	if len(rows) == 0 {
		return nil
	}
	b := columns.NewChangeBuilder(mem)
	defer b.Release()
	for i := range rows {
		b.Append(&rows[i].Change, columns.Position{Shard: rows[i].Shard, Offset: rows[i].Offset, Arrival: rows[i].Arrival})
	}
	return []arrow.Record{b.Batch()}
}

// changesFrom is what a fakeOwner has of changes from an offset on. h.mu is held.
func (h *fakeOwner) changesFrom(from int64) []arrow.Record {
	var held []lake.Change
	for _, c := range h.changes {
		if c.Offset >= from && c.Offset < h.next {
			held = append(held, c)
		}
	}
	return changeBatch(h.mem, held)
}

// appendChange puts a change into a shard's log and moves its owner past it.
func (w *listWorld) appendChange(shard int32, c schemas.Change) {
	h := w.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, lake.Change{Change: c, Shard: shard, Offset: h.next, Arrival: arrivalAt(h.next)})
	h.next++
}

// commitChanges brings client_changes of a shard up to an offset, which is not
// before that of events. Where it stood is in the table.
func (w *listWorld) commitChanges(shard int32, to int64) {
	w.t.Helper()
	snap, err := w.deps.Lake.Load(w.t.Context(), lake.Changes)
	if err != nil {
		w.t.Fatal(err)
	}
	from := max(listFirst, snap.ShardStates()[shard].Next)
	if from >= to {
		return
	}
	h := w.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	var rows []lake.Change
	for _, c := range h.changes {
		if c.Offset >= from && c.Offset < to {
			rows = append(rows, c)
		}
	}
	batches := changeBatch(w.mem, rows)
	for _, b := range batches {
		defer b.Release()
	}
	files, err := w.deps.Lake.WriteChanges(w.t.Context(), shard, batches)
	if err != nil {
		w.t.Fatal(err)
	}
	cut := lake.Cut{
		ID: fmt.Sprintf("said-%d-%d", shard, to), Shard: shard, From: from, Files: files, Sealed: time.Now(),
		To: lake.ShardState{First: listFirst, Next: to, LogTime: arrivalAt(to - 1)},
	}
	if out, err := w.deps.Lake.Commit(w.t.Context(), lake.Changes, []lake.Cut{cut}); err != nil || out[0] != lake.Committed {
		w.t.Fatalf("commit changes of shard %d up to %d: %v, %v", shard, to, out, err)
	}
}

// changesBelow are the changes of product 1 below a watermark, in order.
func (w *listWorld) changesBelow(marks view.Watermark) []lake.Change {
	var rows []lake.Change
	for _, h := range w.shards {
		h.mu.Lock()
		for _, c := range h.changes {
			if c.Product == 1 && c.Offset < marks[h.shard] {
				rows = append(rows, c)
			}
		}
		h.mu.Unlock()
	}
	slices.SortFunc(rows, byLogPosition)
	return rows
}

func byLogPosition(a, b lake.Change) int {
	return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Offset, b.Offset))
}

func changesOf(t *testing.T, v *view.View, f columns.Filter) []lake.Change {
	t.Helper()
	var got []lake.Change
	for c, err := range v.Changes(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, *c)
	}
	slices.SortFunc(got, byLogPosition)
	return got
}

// appendRandomChanges appends random events and changes, and commits some, client_changes
// ahead of events or as far.
func (w *listWorld) appendRandomChanges(r *rand.Rand, n int) {
	w.t.Helper()
	for i := range n {
		shard := int32(r.IntN(listShards))
		h := w.shards[shard]
		if r.IntN(2) == 0 {
			w.append(shard, randomEvent(r))
		} else {
			w.appendChange(shard, schemas.Change{
				Product: 1 + r.Int64N(2), Client: 100 + r.Int64N(5), Time: listNow + int64(i), Kind: schemas.PropertyChange,
				Operation: schemas.OpIncrease, Values: []byte(`{"n":1}`),
			})
		}
		if r.IntN(25) > 0 || h.state.Next == h.next {
			continue
		}
		to := h.state.Next + 1 + r.Int64N(h.next-h.state.Next)
		w.commitChanges(shard, to)
		if r.IntN(3) > 0 {
			w.commit(shard, to)
		}
	}
}

// TestChangesBelowTheWatermark: with and without owners, and however
// far each of the two tables has come.
func TestChangesBelowTheWatermark(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 5))
	for range 6 {
		w := newListWorld(t, Config{})
		w.appendRandomChanges(r, 250)
		if r.IntN(2) == 0 {
			w.releaseShard(w.shards[r.IntN(listShards)])
		}
		check := func(q view.Request) view.Watermark {
			t.Helper()
			q.Changes = true
			v, err := w.views.Plan(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if diff := gocmp.Diff(w.changesBelow(v.Watermark()), changesOf(t, v, columns.Filter{Products: []int64{1}})); diff != "" {
				t.Errorf("%+v at %s (-want +got):\n%s", q, v.Watermark(), diff)
			}
			some := slices.DeleteFunc(w.changesBelow(v.Watermark()), func(c lake.Change) bool { return c.Client != 102 })
			if len(some) == 0 {
				some = nil // as the view gives none
			}
			if diff := gocmp.Diff(some, changesOf(t, v, columns.Filter{Products: []int64{1}, Clients: []int64{102}, TimeTo: 1})); diff != "" {
				t.Errorf("client 102 (-want +got):\n%s", diff)
			}
			return v.Watermark()
		}
		filter := columns.Filter{Products: []int64{1}, TimeFrom: 1, TimeTo: 2} // of the events
		newest := check(view.Request{Columns: []string{columns.ClientID}, Filter: filter})
		check(view.Request{LakeOnly: true})
		older := view.Watermark{}
		for shard, next := range newest {
			older[shard] = r.Int64N(next + 1)
		}
		check(view.Request{Filter: filter, Watermark: older, Exact: true})
	}
}

// TestChangedClients: the values that the changes result in, and only those that
// the scan names.
func TestChangedClients(t *testing.T) {
	w := newListWorld(t, Config{})
	say := func(client int64, kind schemas.ChangeKind, op, values string) {
		w.appendChange(0, schemas.Change{Product: 1, Client: client, Time: listNow, Kind: kind, Operation: op, Values: []byte(values)})
	}
	say(7, schemas.PropertyChange, schemas.OpSet, `{"plan":"free","seats":1}`)
	say(7, schemas.ContactChange, schemas.OpSet, `{"email":"ann@example.org"}`)
	w.commitChanges(0, listFirst+2)
	say(7, schemas.PropertyChange, schemas.OpSet, `{"plan":"pro"}`)
	w.commit(0, listFirst+1)
	say(7, schemas.PropertyChange, schemas.OpIncrease, `{"seats":0.5}`)
	say(8, schemas.PropertyChange, schemas.OpAdd, `{"tags":["a"]}`)
	v, err := w.views.Plan(t.Context(), view.Request{Filter: columns.Filter{Products: []int64{1}}, Changes: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	set, err := changedClients(t.Context(), v, 1, allUserAttributes("user.plan", "user.seats", "user.tags", "contact.email"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, c := range set.Clients() {
		for name, value := range c.Properties {
			got[fmt.Sprint(id, " user.", name)] = string(value.JSON)
		}
		for name, value := range c.Contacts {
			got[fmt.Sprint(id, " contact.", name)] = string(value.JSON)
		}
	}
	want := map[string]string{
		"7 user.plan": `"pro"`, "7 user.seats": "1.5", "7 contact.email": `"ann@example.org"`, "8 user.tags": `["a"]`,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	scan := allUserAttributes("user.plan", "user.tags")
	scan.Bytes = 1
	if _, err := changedClients(t.Context(), v, 1, scan); !errors.Is(err, report.ErrFull) {
		t.Errorf("two clients in a byte: %v, want %v", err, report.ErrFull)
	}
	scan.Clients = func(client int64) bool { return client == 7 }
	if set, err := changedClients(t.Context(), v, 1, scan); err != nil || set.Len() != 1 {
		t.Errorf("one client in a byte: %v, want all of it", err)
	}
}

// TestUserAttributes: rows have the names that reports use, and the time of the
// latest change.
func TestUserAttributes(t *testing.T) {
	w := newListWorld(t, Config{})
	for i, c := range []schemas.Change{
		{Product: 1, Client: 5, Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"plan":"free","gone":1}`)},
		{Product: 1, Client: 5, Kind: schemas.PropertyChange, Operation: schemas.OpDelete, Values: []byte(`{"gone":null,"never":null}`)},
		{Product: 1, Client: 5, Kind: schemas.ContactChange, Operation: schemas.OpSet, Values: []byte(`{"email":"e"}`)},
		{Product: 1, Client: 5, Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"plan":"pro"}`)},
		{Product: 2, Client: 5, Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"plan":"other"}`)},
	} {
		c.Time = listNow + int64(i)
		w.appendChange(0, c)
	}
	v, err := w.views.Plan(t.Context(), view.Request{Filter: columns.Filter{Products: []int64{1}}, Changes: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	got := map[string]report.UserAttribute{}
	for attribute, err := range userAttributes(t.Context(), v, 1, allUserAttributes("user.plan", "user.gone", "contact.email")) {
		if err != nil {
			t.Fatal(err)
		}
		got[attribute.Name] = *attribute
	}
	want := map[string]report.UserAttribute{
		"user.plan":     {Client: 5, Name: "user.plan", Value: `"pro"`, Time: listNow + 3, Offset: listFirst + 3},
		"contact.email": {Client: 5, Name: "contact.email", Value: `"e"`, Time: listNow + 2, Offset: listFirst + 2},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	names, err := userAttributeNames(t.Context(), v, columns.Filter{Products: []int64{1}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]propertyCategory{
		{"User Properties", []propertyEntry{
			{"user.gone", "gone", "currentData", "string", true, false, true}, // some users may have it still
			{"user.plan", "plan", "currentData", "string", true, false, true},
		}},
		{"User Contacts", []propertyEntry{{"contact.email", "email", "currentData", "string", true, false, true}}},
	}, userAttributeCategories(names)); diff != "" {
		t.Errorf("properties that are listed (-want +got):\n%s", diff)
	}
}

// hookedPointers is a catalog that lets something happen between the first load of a
// table and the second.
type hookedPointers struct {
	*laketest.Pointers
	loads int
	then  func()
}

func (h *hookedPointers) Location(ctx context.Context, name string) (string, error) {
	if h.loads++; h.loads == 2 {
		h.then()
	}
	return h.Pointers.Location(ctx, name)
}

// hookedViews returns a reader of views whose lake is of its own, and the hook of its
// catalog.
func (w *listWorld) hookedViews() (*view.Reader, *hookedPointers) {
	w.t.Helper()
	h := &hookedPointers{Pointers: w.lake.Pointers, loads: 10}
	l, err := lake.Open(w.t.Context(), lake.Config{Bucket: laketest.Bucket, Memory: w.mem}, lake.NewCatalog(h, w.lake.Store), w.lake.Store)
	if err != nil {
		w.t.Fatal(err)
	}
	views, err := view.NewReader(view.Config{MaxScans: 1}, view.Deps{Lake: l, Tail: w.deps.Tail, Owners: w.owners, Log: w.deps.Log})
	if err != nil {
		w.t.Fatal(err)
	}
	return views, h
}

// TestCommitBetweenTheLoads: a cut reaches both tables between the load of one
// and that of the other, while the shard has no owner: nothing is missing below
// the watermark.
func TestCommitBetweenTheLoads(t *testing.T) {
	w := newListWorld(t, Config{})
	for i := range 3 {
		w.appendChange(0, schemas.Change{Product: 1, Client: 5, Time: listNow + int64(i), Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"a":1}`)})
	}
	w.commitChanges(0, listFirst+1)
	w.commit(0, listFirst+1)
	w.releaseShard(w.shards[0])
	views, h := w.hookedViews()
	h.loads, h.then = 0, func() {
		w.commitChanges(0, listFirst+3)
		w.commit(0, listFirst+3)
	}
	v, err := views.Plan(t.Context(), view.Request{Changes: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	got := changesOf(t, v, columns.Filter{Products: []int64{1}})
	if diff := gocmp.Diff(w.changesBelow(v.Watermark()), got); diff != "" || h.loads < 2 {
		t.Errorf("at %s (-want +got):\n%s", v.Watermark(), diff)
	}
}

// TestRollupsAreLoadedBeforeEvents: a cut reaches `events` and a rollup between the
// loads of the two. The rollup must not hold what the view knows nothing of.
func TestRollupsAreLoadedBeforeEvents(t *testing.T) {
	w := newListWorld(t, Config{})
	for range 3 {
		w.append(0, schemas.Event{Product: 1, Client: 5, Time: listNow, Name: "open"})
	}
	w.commit(0, listFirst+1)
	w.rollUp(lake.EventDays, 0, listFirst+1)
	w.releaseShard(w.shards[0])
	views, h := w.hookedViews()
	h.loads, h.then = 0, func() {
		w.commit(0, listFirst+3)
		w.rollUp(lake.EventDays, 0, listFirst+3)
	}
	v, err := views.PlanRollups(t.Context(), 1, nil, rollup.WantAll, lake.EventDays)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	sum := int64(0)
	for b, err := range v.EventBatches(t.Context(), columns.Filter{Products: []int64{1}}, rollup.WantAll) {
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range b.Count {
			sum += n
		}
	}
	if want := v.Watermark()[0] - listFirst; sum != want || h.loads < 2 {
		t.Errorf("%d events at %s, want %d", sum, v.Watermark(), want)
	}
}

// TestOwnerIsAskedOnceForRowsAndChanges: an owner moves on after it was asked. Rows
// and changes are still as of one position.
func TestOwnerIsAskedOnceForRowsAndChanges(t *testing.T) {
	w := newListWorld(t, Config{})
	change := schemas.Change{Product: 1, Client: 5, Time: listNow, Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"a":1}`)}
	w.appendChange(0, change)
	w.append(0, schemas.Event{Product: 1, Client: 5, Time: listNow, Name: "open"})
	w.shards[0].after = func() { w.appendChange(0, change) }
	v, err := w.views.Plan(t.Context(), view.Request{Changes: true})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	got := changesOf(t, v, columns.Filter{Products: []int64{1}})
	if diff := gocmp.Diff(w.changesBelow(v.Watermark()), got); diff != "" || len(got) != 1 {
		t.Errorf("%d changes at %s (-want +got):\n%s", len(got), v.Watermark(), diff)
	}
	if w.shards[0].asked != 1 {
		t.Errorf("the owner was asked %d times, want once", w.shards[0].asked)
	}
}

// everythingTold asks of every client.
func allUserAttributes(names ...string) report.UserAttributeScan {
	return report.UserAttributeScan{Clients: func(int64) bool { return true }, Names: names, Bytes: 1 << 20}
}

// TestReportsReadUserAttributes: properties and contacts in filters, segments and
// lists, also what is still in the tail.
func TestReportsReadUserAttributes(t *testing.T) {
	w := newReportWorld(t)
	say := func(client int64, kind schemas.ChangeKind, values string) {
		w.appendChange(0, schemas.Change{Product: 1, Client: client, Time: w.midday, Kind: kind, Operation: schemas.OpSet, Values: []byte(values)})
	}
	for client := int64(listShards); client <= 4*listShards; client += listShards { // of shard 0
		w.append(0, schemas.Event{Product: 1, Client: client, Time: w.midday, Name: "Open", RandomID: fmt.Sprint(client)})
	}
	first := int64(listShards)
	say(first, schemas.PropertyChange, `{"plan":"free","tags":["a","b"],"seats":2}`)
	say(2*first, schemas.PropertyChange, `{"plan":"pro","seats":12.5}`)
	say(2*first, schemas.ContactChange, `{"email":"ann@example.org"}`)
	say(2*first, schemas.PropertyChange, `{"tier":"gold"}`)
	say(3*first, schemas.PropertyChange, `{"tier":""}`)
	w.commitChanges(0, w.shards[0].next)
	say(3*first, schemas.PropertyChange, `{"plan":"pro","seats":3}`)
	say(4*first, schemas.PropertyChange, `{"tier":"<NULL>"}`)
	say(99*first, schemas.PropertyChange, `{"plan":"pro"}`) // has sent no event

	check := func(path, body, want string) {
		t.Helper()
		rec := w.ask(path, body)
		if got := strings.TrimSpace(rec.Body.String()); got != want {
			t.Errorf("%s %s\n got %s\nwant %s", path, body, got, want)
		}
	}
	check("generic/current/1", `{"clientStatus":["active"],"globalFilters":{"user.plan":{"type":"string","value":"pro"}}}`,
		`{"status":"OK","result":{"totals":{"active":2}}}`)
	check("generic/current/1", `{"clientStatus":["active"],"globalFilters":{"user.seats":{"type":"numberRange","min":3}}}`,
		`{"status":"OK","result":{"totals":{"active":2}}}`)
	check("generic/current/1", `{"clientStatus":["active"],"levels":{"level1":{"property":"user.plan","segments":[{"type":"regex","value":".*","split":true,"includeNull":true}]}}}`,
		`{"status":"OK","result":{"level1":{"<NULL>":{"totals":{"active":1}},"free":{"totals":{"active":1}},"pro":{"totals":{"active":2}}}}}`)
	check("generic/current/1", `{"clientStatus":["active"],"levels":{"level1":{"property":"user.tier","segments":[{"type":"regex","value":".*","split":true,"includeNull":true}]}}}`,
		`{"status":"OK","result":{"level1":{"<NULL>":{"totals":{"active":3}},"gold":{"totals":{"active":1}}}}}`)
	id := func(n int64) string { return fmt.Sprintf(`{"clientId":"%d"`, n*first) }
	rows := []string{
		id(1) + `,"user.tags":["a","b"],"user.seats":2,"user.never":"<NULL>"}`, id(2) + `,"user.tags":"<NULL>","user.seats":12.5,"user.never":"<NULL>"}`,
		id(3) + `,"user.tags":"<NULL>","user.seats":3,"user.never":"<NULL>"}`, id(4) + `,"user.tags":"<NULL>","user.seats":"<NULL>","user.never":"<NULL>"}`,
	}
	slices.Sort(rows)
	check("clientPropertyList/1", `{"properties":["user.tags","user.seats","user.never"]}`,
		`{"status":"OK","result":[`+strings.Join(rows, ",")+`],"reachedEnd":true}`)
	check("clientPropertyList/1", `{"properties":["contact.email"],"globalFilters":{"user.plan":{"type":"string","value":"pro"},"contact.email":{"type":"regex","value":"@"}}}`,
		`{"status":"OK","result":[`+id(2)+`,"contact.email":"ann@example.org"}],"reachedEnd":true}`)
	if rec := w.ask("clientPropertyList/1", `{}`); strings.Contains(rec.Body.String(), "ann@") {
		t.Errorf("a contact that was not requested: %s", rec.Body)
	}
}
