package query

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/values"
)

// maxUpdates is how many events or license keys one request changes.
const maxUpdates = 1000

// eventTracking answers for the events of a product: which there are, and how
// each is collected.
type eventTracking struct {
	responder
	registry *registry.Registry
}

// trackedCategory is the events of one category.
type trackedCategory struct {
	Category *string        `json:"category"` // null: none
	Events   []trackedEvent `json:"categoryEventNames"`
}

type trackedEvent struct {
	Name      string `json:"eventName"`
	Basic     bool   `json:"basic"`
	Advanced  bool   `json:"advanced"`
	FirstSeen string `json:"dateFirstSeen"` // UTC day of the earliest event
}

// list answers with the events that a product has ever sent, by category and
// name, those without a category first. Starts and stops of sessions are not
// listed.
func (et eventTracking) list(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	return et.answerFromView(w, r, q.product.Account, func(ctx context.Context) (*view.View, error) {
		return et.views.PlanRollups(ctx, q.product.ID, q.watermark, rollup.WantFirst, lake.EventDays)
	}, func(ctx context.Context, v *view.View) (any, error) {
		seen, others, err := firstSeenTimes(ctx, v, q.product.ID, et.cost.EventNames)
		if err != nil {
			return nil, err
		}
		flags, err := et.registry.EventFlags(ctx, q.product.ID)
		if err != nil {
			return nil, err
		}
		answer := trackedAnswer{envelope: enveloped(trackedEvents(seen, flags)), More: others}
		if others {
			et.manyEvents.Inc()
		}
		return answer, nil
	})
}

// trackedAnswer is the published envelope, and whether there are more events
// than it names.
type trackedAnswer struct {
	envelope[[]trackedCategory]
	More bool `json:"moreEvents,omitzero"`
}

// firstSeenTimes returns when each event was first seen, in epoch milliseconds.
// An empty category counts as no category. Of more events than are named, those
// that were seen first are, and the others are one: see report.OtherEvents.
func firstSeenTimes(ctx context.Context, v *view.View, product int64, most int) (seen map[registry.EventName]int64, others bool, err error) {
	first := report.NewFirstEvents(most)
	for b, err := range v.EventBatches(ctx, columns.Filter{Products: []int64{product}}, rollup.WantFirst) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, false, err
		}
		first.AddBatch(b)
	}
	named, other := first.Named()
	if other != nil {
		named = append(named, *other)
	}
	seen = make(map[registry.EventName]int64, len(named))
	for _, e := range named {
		name := registry.EventName{HasCategory: e.Category != "", Category: e.Category, Name: e.Name}
		if before, known := seen[name]; !known || e.First < before { // a real event may be called as the others are
			seen[name] = e.First
		}
	}
	return seen, other != nil, nil
}

// trackedEvents groups the events by category, in the order of EventName.Compare:
// events without a category first.
func trackedEvents(seen map[registry.EventName]int64, flags map[registry.EventName]registry.EventFlags) []trackedCategory {
	all := []trackedCategory{}
	last := registry.EventName{}
	for _, e := range slices.SortedFunc(maps.Keys(seen), registry.EventName.Compare) {
		if len(all) == 0 || last.HasCategory != e.HasCategory || last.Category != e.Category {
			category := trackedCategory{}
			if e.HasCategory {
				category.Category = &e.Category
			}
			all = append(all, category)
		}
		last = e
		f := flagsOf(flags, e)
		of := &all[len(all)-1]
		of.Events = append(of.Events, trackedEvent{e.Name, f.Basic, f.Advanced, time.UnixMilli(seen[e]).UTC().Format(time.DateOnly)})
	}
	return all
}

// flagsOf returns how an event is collected: as basic and as advanced, unless the
// owner of the product has decided otherwise.
func flagsOf(flags map[registry.EventName]registry.EventFlags, e registry.EventName) registry.EventFlags {
	f, decided := flags[e]
	if !decided {
		return registry.EventFlags{Basic: true, Advanced: true}
	}
	return f
}

// eventUpdate says how an event is to be collected. A missing flag stays as it
// was.
type eventUpdate struct {
	Category  *string `json:"category"` // null or missing: no category
	EventName *string `json:"eventName"`
	Basic     *bool   `json:"basic"`
	Advanced  *bool   `json:"advanced"`
}

// update changes how events are collected. The published API says that owners
// choose that, and has no call for it; this one is Weir's own.
func (et eventTracking) update(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	var body struct {
		Events []eventUpdate `json:"eventUpdates"`
	}
	if err := et.readBody(w, r, &body); err != nil {
		return err
	}
	if err := checkCount("eventUpdates", len(body.Events)); err != nil {
		return err
	}
	updates, at := make([]registry.EventFlagsUpdate, len(body.Events)), map[registry.EventName]int{}
	for i, u := range body.Events {
		e, err := u.event("eventUpdates." + strconv.Itoa(i))
		if err != nil {
			return err
		}
		if before, twice := at[e]; twice {
			return badField("eventUpdates."+strconv.Itoa(i)+".eventName", "is the event of eventUpdates."+strconv.Itoa(before)+" too")
		}
		at[e] = i
		updates[i] = registry.EventFlagsUpdate{Event: e, Basic: u.Basic, Advanced: u.Advanced}
	}
	err := et.registry.UpdateEventFlags(r.Context(), q.product.ID, updates, et.cost.EventNames)
	if errors.Is(err, registry.ErrTooMany) {
		return badField("eventUpdates", "would make more than "+strconv.Itoa(et.cost.EventNames)+" events that are not collected both ways (query.max_event_names)")
	}
	if err != nil {
		return err
	}
	return et.writeAnswer(r.Context(), w, enveloped(struct {
		Updated int `json:"updated"`
	}{len(updates)}))
}

// event returns the event that u is about; at is the path of u in the body.
func (u *eventUpdate) event(at string) (registry.EventName, error) {
	if u.EventName == nil {
		return registry.EventName{}, badField(at+".eventName", "is missing")
	}
	e := registry.EventName{Name: *u.EventName, HasCategory: u.Category != nil && *u.Category != ""}
	if e.HasCategory {
		e.Category = *u.Category
	}
	switch {
	case e.Name == "" || !nameable(e.Name):
		return e, badField(at+".eventName", "is not a name of 1 to "+strconv.Itoa(schemas.MaxNameChars)+" characters")
	case e.Name == schemas.SessionStart || e.Name == schemas.SessionStop:
		return e, badField(at+".eventName", "is a session's, which is always counted")
	case !nameable(e.Category):
		return e, badField(at+".category", "is longer than "+strconv.Itoa(schemas.MaxNameChars)+" characters, or no text")
	case u.Basic == nil && u.Advanced == nil:
		return e, badField(at, "needs basic or advanced")
	}
	return e, nil
}

// nameable reports whether an event can have name, and SQL can keep it.
func nameable(name string) bool {
	return !values.LongerThan(name, schemas.MaxNameChars) && utf8.ValidString(name) && !strings.ContainsRune(name, 0)
}

// checkCount checks the number of updates in a request.
func checkCount(field string, n int) error {
	if n < 1 || n > maxUpdates {
		return badField(field, "must have 1 to "+strconv.Itoa(maxUpdates)+" elements")
	}
	return nil
}
