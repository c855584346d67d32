package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
	"weir/schemas/values"
)

// clientList is the report clientPropertyList: a page of the clients of a
// product with some of their properties, in the order of the bytes of their ids
// in decimal.
type clientList struct {
	q      *base
	start  string
	page   int
	listed []listedProperty
	usage  bool // lifetimeEventUsage is listed
	daily  *base
	byDay  []listedProperty
	window int // clients that are looked at together; halved when they need too much memory
}

// listedProperty is a property of the list.
type listedProperty struct {
	name     string
	property int // index in usedProperties.all; −1 for what is filled in later or always empty
}

// Names of ReachOut counters, which lists may ask for. They are always empty:
// Weir has no campaigns.
const (
	nameReachAuto   = "reachOutDeliveries.auto"
	nameReachManual = "reachOutDeliveries.manual"
)

// Limits of a list.
const (
	listPage   = 200
	listWindow = 1 << 18
	maxListed  = 1200 // properties of one list; more than the catalogue and 1000 user attributes
)

// NewClientList compiles clientPropertyList.
func NewClientList(b *Body, params Params) (*Question, error) {
	q, err := newBase(b, params)
	if err != nil {
		return nil, err
	}
	l := &clientList{start: text(b.StartAtClientID), page: cmp.Or(params.Page, listPage), window: listWindow}
	q.days, q.asOf, q.needs.optOuts = OpenRange(minDay), asOfNow, false
	question := &Question{base: q, list: l}
	l.q = &question.base
	if err := l.q.refuseGroupBy(b); err != nil {
		return nil, err
	}
	if err := l.q.readFilters(b); err != nil {
		return nil, err
	}
	if len(b.Properties) > maxListed {
		return nil, fieldErrorf("properties", "are more than %d", maxListed)
	}
	for i, name := range b.Properties {
		if err := l.addProperty(fmt.Sprintf("properties.%d", i), name); err != nil {
			return nil, err
		}
	}
	return question, l.readDaily(b, l.q.params)
}

// addProperty adds a property to the list, once. The client id is always
// listed.
func (l *clientList) addProperty(field, name string) error {
	if name == property.NameClientID || slices.ContainsFunc(l.listed, func(have listedProperty) bool { return have.name == name }) {
		return nil
	}
	entry := listedProperty{name: name, property: -1}
	switch name {
	case property.NameEventUsage:
		l.usage = true
	case nameReachAuto, nameReachManual:
	default:
		var err error
		if entry.property, err = l.q.props.use(field, name); err != nil {
			return err
		}
	}
	l.listed = append(l.listed, entry)
	return nil
}

// readDaily reads retDailyData: a range, and the properties that are listed for
// each active day in it.
func (l *clientList) readDaily(b *Body, params Params) error {
	if b.RetDailyData == nil || b.RetDailyData.Kind() == 'n' {
		return nil
	}
	const field = "retDailyData"
	m, err := objectOf(field, b.RetDailyData)
	if err != nil {
		return err
	}
	var dates Body
	var names values.Strings
	for _, member := range []struct {
		name string
		into any
		want string
	}{
		{"startDate", &dates.StartDate, "a date"}, {"stopDate", &dates.StopDate, "a date"}, {"properties", &names, "an array of strings"},
	} {
		if err := m.read(field, member.name, member.into, member.want); err != nil {
			return err
		}
	}
	daily, err := newBase(b, params)
	if err != nil {
		return err
	}
	if daily.days, err = dates.readRange(l.q.today, ByDay); err != nil {
		if in, ok := errors.AsType[*FieldError](err); ok {
			in.Field = field + "." + in.Field
		}
		return err
	}
	daily.needs.rangeDays, daily.needs.optOuts = true, false
	l.daily = &daily
	for i, name := range names {
		if err := l.addDailyProperty(fmt.Sprintf("%s.properties.%d", field, i), name); err != nil {
			return err
		}
	}
	return nil
}

// addDailyProperty adds a property of each day; properties with a current value
// alone are refused.
func (l *clientList) addDailyProperty(field, name string) error {
	if _, daily, known := propertyOf(name); known && !daily {
		return fieldErrorf(field, "%q has no value of each day", name)
	}
	at, err := l.daily.props.use(field, name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(l.byDay, func(have listedProperty) bool { return have.name == name }) {
		l.byDay = append(l.byDay, listedProperty{name: name, property: at})
	}
	return nil
}

// run looks at the clients in the order of the list, a window of them at a
// time, until a page is full. It halves the window when its clients need more
// memory than allowed.
func (l *clientList) run(ctx context.Context, src Source) (Answer, error) {
	found := page{}
	start := idBound{text: l.start, included: true}
	for {
		ids, more, err := l.ids(ctx, src, start)
		if err != nil {
			return Answer{}, err
		}
		err = l.addPage(ctx, src, ids, &found)
		if errors.Is(err, ErrFull) && l.window > 1 {
			l.window /= 2
			continue
		}
		if err != nil {
			return Answer{}, err
		}
		if !more || found.next != 0 {
			break
		}
		start = idBound{text: strconv.FormatInt(ids[len(ids)-1], 10)}
	}
	if err := l.details(ctx, src, &found); err != nil {
		return Answer{}, err
	}
	more := Object{{"reachedEnd", found.next == 0}}
	if found.next != 0 {
		more = append(more, Member{"nextClientId", strconv.FormatInt(found.next, 10)})
	}
	if found.manyEvents {
		more = append(more, Member{"moreEvents", true})
	}
	if found.rows == nil {
		found.rows = []Object{}
	}
	return Answer{Result: found.rows, More: append(more, l.q.overflowMember()...)}, nil
}

// page is the rows of a page so far.
type page struct {
	ids        []int64
	rows       []Object
	manyEvents bool
	next       int64 // the client that the next page starts at; 0 if this page is the last
}

// idBound is where the ids of a window begin. Clients send it as a text that
// need not be an id.
type idBound struct {
	text     string
	included bool
}

// has reports whether an id comes at or after the bound, compared as texts.
func (b *idBound) has(id int64) bool {
	var buf [20]byte
	order := cmp.Compare(string(strconv.AppendInt(buf[:0], id, 10)), b.text)
	return order > 0 || order == 0 && b.included
}

// idKey orders ids by the bytes of their decimals without formatting them.
type idKey struct {
	scaled uint64 // the id, followed by zeros up to 19 digits
	digits int
}

// keyOf returns the key of an id.
func keyOf(id int64) idKey {
	k := idKey{scaled: uint64(id)}
	for rest := id; rest > 0; rest /= 10 {
		k.digits++
	}
	const maxDigits = 19
	for range maxDigits - k.digits {
		k.scaled *= 10
	}
	return k
}

// compareIDs orders ids by the bytes of their decimals.
func compareIDs(a, b int64) int {
	x, y := keyOf(a), keyOf(b)
	return cmp.Or(cmp.Compare(x.scaled, y.scaled), cmp.Compare(x.digits, y.digits))
}

// ids returns the first clients from a bound on, as many as a window holds, and
// whether there are more. It holds two windows at most.
func (l *clientList) ids(ctx context.Context, src Source, from idBound) (ids []int64, more bool, err error) {
	trim := func() {
		slices.SortFunc(ids, compareIDs)
		ids = slices.Compact(ids)
		if len(ids) > l.window {
			ids, more = ids[:l.window], true
		}
	}
	for b, err := range src.Clients(ctx, Scan{}) {
		if err != nil {
			return nil, false, err
		}
		for _, id := range b.Client {
			if from.has(id) {
				ids = append(ids, id)
			}
		}
		if len(ids) > 2*l.window {
			trim()
		}
	}
	trim()
	return ids, more, nil
}

// statsOf returns stats of the given clients alone, in their order.
func statsOf(q *base, ids []int64) []*clientStats {
	cs := newClientStats(q, hashRange{to: hashEnd})
	for _, id := range ids {
		cs.unitIndex.put(id, cs.addUnit(id))
	}
	cs.onlyKnown = true
	return []*clientStats{cs}
}

// addPage adds the clients of a window that match to the page. The client after
// a full page becomes the start of the next.
func (l *clientList) addPage(ctx context.Context, src Source, ids []int64, found *page) error {
	workers, err := l.q.pass(ctx, src, func() []*clientStats { return statsOf(l.q, ids) })
	if err != nil {
		return err
	}
	cs := workers[0]
	for u, id := range ids {
		if !cs.matches(int32(u), maxDay) {
			continue
		}
		if len(found.ids) == l.page {
			found.next = id
			return nil
		}
		row := Object{{property.NameClientID, strconv.FormatInt(id, 10)}}
		for _, entry := range l.listed {
			row = append(row, Member{entry.name, l.value(cs, int32(u), entry)})
		}
		found.ids, found.rows = append(found.ids, id), append(found.rows, row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// value is a listed property of a client.
func (l *clientList) value(cs *clientStats, u int32, entry listedProperty) any {
	if entry.property < 0 {
		return []Object{} // addUsage fills in lifetimeEventUsage
	}
	v := cs.value(u, entry.property, maxDay)
	l.q.params.Cost.AddCounts("properties", 1, numberBytes+len(v.Text))
	return v.typed(&cs.q.props.all[entry.property])
}

// typed is a value as lists have it: a number, a boolean or a text, by the type
// of the property; a value that the type cannot be read from is a text. Null is
// "<NULL>", and a flag that was never reported is false.
func (v *Value) typed(p *usedProperty) any {
	switch {
	case v.Null:
		return NullLabel
	case p.source == property.UserAttribute:
		return jsontext.Value(v.raw)
	case p.typ == property.Boolean || p.typ == property.Flag:
		if set, known := values.Flag(v.Text); known {
			return set
		}
	case p.typ == property.Number:
		if _, ok := values.Number(v.Text); ok {
			return jsontext.Value(v.Text)
		}
	}
	return v.Text
}

// details adds what is read for the clients of the page alone: event usage and
// daily values.
func (l *clientList) details(ctx context.Context, src Source, found *page) error {
	if len(found.ids) == 0 {
		return nil
	}
	if l.usage {
		if err := l.addUsage(ctx, src, found); err != nil {
			return err
		}
	}
	if l.daily == nil {
		return nil
	}
	l.daily.clients = found.ids
	l.daily.params.Bytes = unbounded // bounded by the page
	workers, err := l.daily.pass(ctx, src, func() []*clientStats { return statsOf(l.daily, found.ids) })
	if err != nil {
		return err
	}
	cs := workers[0]
	for u := range found.ids {
		found.rows[u] = append(found.rows[u], Member{"dailyData", l.dailyRows(ctx, cs, int32(u))})
	}
	return nil
}

// unbounded is the memory limit of passes that are bounded by the size of a
// page.
const unbounded = 1 << 60

// dailyRows returns an element for each day of the range on which a client was
// active.
func (l *clientList) dailyRows(ctx context.Context, cs *clientStats, u int32) []Object {
	out := []Object{}
	for bucket := range l.daily.days.Buckets {
		if !cs.activeIn(u, bucket) {
			continue
		}
		if ctx.Err() != nil {
			break // over the limit, or the client has gone: Answer says which
		}
		day := &l.daily.days.Buckets[bucket]
		row := Object{{"date", day.Key.String()}}
		for _, entry := range l.byDay {
			v := cs.value(u, entry.property, day.To)
			l.q.params.Cost.AddCounts("retDailyData", 1, numberBytes+len(v.Text))
			row = append(row, Member{entry.name, v.typed(&cs.q.props.all[entry.property])})
		}
		out = append(out, row)
	}
	return out
}

// addUsage fills in how often each client sent each event.
func (l *clientList) addUsage(ctx context.Context, src Source, found *page) error {
	q := base{params: l.q.params, zone: l.q.zone, days: OpenRange(minDay), asOf: asOfNow, everyEvent: true, clients: found.ids}
	q.params.Bytes = unbounded // bounded by the page
	begin := func() []*clientStats { return statsOf(&q, found.ids) }
	workers, err := q.pass(ctx, src, begin)
	if errors.Is(err, errManyEvents) {
		if err = q.nameEvents(ctx, src); err == nil {
			found.manyEvents = true
			workers, err = q.pass(ctx, src, begin)
		}
	}
	if err != nil {
		return err
	}
	cs := workers[0]
	at := 1 + slices.IndexFunc(l.listed, func(entry listedProperty) bool { return entry.name == property.NameEventUsage })
	for u := range found.ids {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		all := slices.Clone(cs.eventCounts.of(int32(u)))
		slices.SortFunc(all, func(a, b countCell) int { return cs.eventIndex.all[a.event].compare(cs.eventIndex.all[b.event].event) })
		rows := []Object{}
		for _, p := range all {
			e := &cs.eventIndex.all[p.event]
			l.q.params.Cost.AddCounts("properties", 1, seriesBytes+len(e.category)+len(e.name))
			rows = append(rows, Object{{"eventCategory", categoryName(e.category)}, {"eventName", e.name}, {"eventCount", p.count}})
		}
		found.rows[u][at].Value = rows
	}
	return nil
}
