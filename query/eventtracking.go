package query

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/rollup"
)

const (
	maxSeenEvents = 100_000 // different events of a product that are listed
	maxChanges    = 1000    // events or license keys that one request changes
)

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

// eventTracking lists the events that a product has ever sent, by category and
// name, those without a category first. Starts and stops of sessions are none.
func (s *Service) eventTracking(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	return s.answer(w, r, func(ctx context.Context) (*view, error) {
		return s.planRollups(ctx, q.product.ID, q.want, rollup.WantFirst, lake.EventDays)
	}, func(ctx context.Context, v *view) (any, error) {
		seen, err := seenEvents(ctx, v, q.product.ID, maxSeenEvents)
		if err != nil {
			return nil, err
		}
		flags, err := s.deps.Registry.EventFlags(ctx, q.product.ID)
		if err != nil {
			return nil, err
		}
		return enveloped(trackedEvents(seen, flags)), nil
	})
}

// seenEvents finds when each event was first seen, in epoch milliseconds. An
// empty category is none.
func seenEvents(ctx context.Context, v *view, product int64, most int) (map[registry.EventName]int64, error) {
	seen := map[registry.EventName]int64{}
	for b, err := range v.eventBatches(ctx, columns.Filter{Products: []int64{product}}, rollup.WantFirst) {
		if err != nil {
			return nil, err
		}
		for i, first := range b.First {
			e := registry.EventName{Name: b.Name.Values[b.Name.Codes[i]]}
			if code := b.Category.Codes[i]; code >= 0 {
				e.Category = b.Category.Values[code]
				e.HasCategory = e.Category != ""
			}
			before, known := seen[e]
			if known && before <= first || e.Name == schemas.SessionStart || e.Name == schemas.SessionStop {
				continue
			}
			e.Category, e.Name = strings.Clone(e.Category), strings.Clone(e.Name) // the batch goes away; a map keeps the newer of equal keys
			if seen[e] = first; len(seen) > most {
				return nil, badField("product_id", "has more than "+strconv.Itoa(most)+" different events, too many to list")
			}
		}
	}
	return seen, nil
}

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
		how := flagsOf(flags, e)
		of := &all[len(all)-1]
		of.Events = append(of.Events, trackedEvent{e.Name, how.Basic, how.Advanced, msTime(seen[e]).Format(time.DateOnly)})
	}
	return all
}

// flagsOf is how an event is collected: as basic and as advanced until somebody
// says otherwise.
func flagsOf(flags map[registry.EventName]registry.EventFlags, e registry.EventName) registry.EventFlags {
	how, said := flags[e]
	if !said {
		return registry.EventFlags{Basic: true, Advanced: true}
	}
	return how
}

// eventUpdate says how an event is to be collected. A flag that is not there
// stays as it was.
type eventUpdate struct {
	Category  *string `json:"category"` // null or left out: none
	EventName *string `json:"eventName"`
	Basic     *bool   `json:"basic"`
	Advanced  *bool   `json:"advanced"`
}

// updateEventTracking is ours: the published API says that owners choose what
// is collected, and has no call for it.
func (s *Service) updateEventTracking(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	var body struct {
		Events []eventUpdate `json:"eventUpdates"`
	}
	if err := s.readBody(w, r, &body); err != nil {
		return err
	}
	if err := countOf("eventUpdates", len(body.Events)); err != nil {
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
	if err := s.deps.Registry.UpdateEventFlags(r.Context(), q.product.ID, updates); err != nil {
		return err
	}
	return s.writeAnswer(w, enveloped(struct {
		Updated int `json:"updated"`
	}{len(updates)}))
}

// event is the event that u is about; at is where u stands.
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
		return e, badField(at+".eventName", "is not a name of 1 to "+strconv.Itoa(schemas.MaxNameBytes)+" bytes")
	case e.Name == schemas.SessionStart || e.Name == schemas.SessionStop:
		return e, badField(at+".eventName", "is a session's, which is always counted")
	case !nameable(e.Category):
		return e, badField(at+".category", "is longer than "+strconv.Itoa(schemas.MaxNameBytes)+" bytes, or no text")
	case u.Basic == nil && u.Advanced == nil:
		return e, badField(at, "needs basic or advanced")
	}
	return e, nil
}

// nameable says that an event can have name, and SQL keep it.
func nameable(name string) bool {
	return len(name) <= schemas.MaxNameBytes && utf8.ValidString(name) && !strings.ContainsRune(name, 0)
}

// countOf holds the number of changes in a request to what is allowed.
func countOf(field string, n int) error {
	if n < 1 || n > maxChanges {
		return badField(field, "must have 1 to "+strconv.Itoa(maxChanges)+" elements")
	}
	return nil
}
