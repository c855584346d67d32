package report

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"weir/schemas/rollup"
)

// OtherEvents is the name, without a category, under which an answer counts
// together the events that it does not list by name: see Limits.EventNames of
// package cost. An event that is really called so is counted among them.
const OtherEvents = "<OTHER>"

// errManyEvents says that an answer would list more events than it may. The
// question is answered again with the events that it lists: see nameEvents.
var errManyEvents = errors.New("more events than an answer lists")

// listsEvents reports whether the answer lists all events that there are, and
// not those that the request names.
func (q *base) listsEvents() bool {
	return q.everyEvent || q.needs.eventTotals && q.totalEvents == nil
}

// checkNames counts the events that the answer lists, over all workers and
// passes, so that it does not depend on how clients are divided among them
// whether the answer has too many.
func (q *base) checkNames(workers []*clientStats) error {
	if !q.listsEvents() || q.named != nil {
		return nil
	}
	if q.found == nil {
		q.found = map[event]struct{}{}
	}
	for _, cs := range workers {
		for i := range cs.eventIndex.all {
			if e := &cs.eventIndex.all[i]; e.listed {
				q.found[e.event] = struct{}{}
			}
		}
	}
	if len(q.found) > q.params.Cost.Limits().EventNames {
		return errManyEvents
	}
	return nil
}

// nameEvents finds the events that the answer lists: those that the product sent
// first. It takes a scan of all events.
func (q *base) nameEvents(ctx context.Context, src Source) error {
	first := NewFirstEvents(q.params.Cost.Limits().EventNames)
	for b, err := range src.Events(ctx, Scan{From: minDay, To: maxDay, Wants: rollup.WantFirst}) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		first.AddBatch(b)
	}
	named, _ := first.Named()
	q.named, q.found = make(map[event]struct{}, len(named)), nil
	for _, e := range named {
		q.named[event{e.Category, e.Name}] = struct{}{}
	}
	return nil
}

// FirstEvents finds the events of a product that were seen first, and when. It
// holds twice as many as it is asked for, however many there are.
type FirstEvents struct {
	most int
	seen map[event]*SeenEvent // by names that the value holds: an assignment would keep those of a batch
	last SeenEvent            // of those that were kept when some were dropped
	full bool                 // some were dropped
}

// SeenEvent is an event and when it was first seen.
type SeenEvent struct {
	Category, Name string // without a category "" is none
	First          int64  // epoch milliseconds
}

// compare orders events by when they were first seen, then by category and name.
func (e SeenEvent) compare(o SeenEvent) int {
	return cmp.Or(cmp.Compare(e.First, o.First), cmp.Compare(e.Category, o.Category), cmp.Compare(e.Name, o.Name))
}

// NewFirstEvents returns an empty one that finds the given number of events.
func NewFirstEvents(most int) *FirstEvents {
	return &FirstEvents{most: most, seen: map[event]*SeenEvent{}}
}

// AddBatch adds the rows of a batch, which has First. Starts and stops of
// sessions are no events.
func (f *FirstEvents) AddBatch(b *rollup.EventBatch) {
	for i, first := range b.First {
		e := SeenEvent{Name: b.Name.Values[b.Name.Codes[i]], First: first}
		if code := b.Category.Codes[i]; code >= 0 {
			e.Category = b.Category.Values[code]
		}
		if tracked(e.Name) {
			f.add(e)
		}
	}
}

// add adds a row. Its names may belong to a batch.
func (f *FirstEvents) add(e SeenEvent) {
	if f.full && f.last.compare(e) < 0 {
		return
	}
	key := event{e.Category, e.Name}
	if have := f.seen[key]; have != nil {
		have.First = min(have.First, e.First)
		return
	}
	own := &SeenEvent{strings.Clone(e.Category), strings.Clone(e.Name), e.First}
	f.seen[event{own.Category, own.Name}] = own
	if len(f.seen) > 2*(f.most+1) {
		f.drop()
	}
}

// drop keeps one event more than is asked for, which is the first of the others.
// An event that is dropped can come again, and then only earlier: the times of
// those that are kept are exact.
func (f *FirstEvents) drop() {
	all := f.sorted()
	for _, e := range all[f.most+1:] {
		delete(f.seen, event{e.Category, e.Name})
	}
	f.full, f.last = true, all[f.most]
}

func (f *FirstEvents) sorted() []SeenEvent {
	all := make([]SeenEvent, 0, len(f.seen))
	for _, e := range f.seen {
		all = append(all, *e)
	}
	slices.SortFunc(all, SeenEvent.compare)
	return all
}

// Named returns the events in the order in which they were first seen, as many
// as were asked for; and if there are more, all others as one, which was seen
// when the first of them was.
func (f *FirstEvents) Named() (named []SeenEvent, others *SeenEvent) {
	all := f.sorted()
	if len(all) <= f.most {
		return all, nil
	}
	return all[:f.most], &SeenEvent{Name: OtherEvents, First: all[f.most].First}
}
