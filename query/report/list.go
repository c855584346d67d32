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
)

// list is a page of the clients of a product: reporting/clientPropertyList.
// Clients are ordered by the bytes of their ids in decimal.
type list struct {
	q      *base
	start  string
	page   int
	listed []listed
	usage  bool // lifetimeEventUsage is among them
	daily  *base
	byDay  []listed
	window int // clients that are looked at, at once; halved when they do not fit
}

// listed is a property of a list.
type listed struct {
	name     string
	property int // index in properties.all; −1 of what is none
}

// Names of a list that are no properties.
const (
	nameReachAuto   = "reachOutDeliveries.auto"
	nameReachManual = "reachOutDeliveries.manual"
)

const (
	listPage   = 200
	listWindow = 1 << 18
	maxListed  = 200 // properties of a list
)

// NewClientList compiles reporting/clientPropertyList.
func NewClientList(b *Body, given Params) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	l := &list{start: text(b.StartAtClientID), page: cmp.Or(given.Page, listPage), window: listWindow}
	q.days, q.moment = OpenRange(minDay), latest
	question := &Question{base: q, list: l}
	l.q = &question.base
	if err := l.q.byClient(b); err != nil {
		return nil, err
	}
	if err := l.q.filters(b); err != nil {
		return nil, err
	}
	if len(b.Properties) > maxListed {
		return nil, wrong("properties", "are more than %d", maxListed)
	}
	for i, name := range b.Properties {
		if err := l.list(fmt.Sprintf("properties.%d", i), name); err != nil {
			return nil, err
		}
	}
	return question, l.readDaily(b, given)
}

func (l *list) list(field, name string) error {
	if name == property.NameClientID || slices.ContainsFunc(l.listed, func(have listed) bool { return have.name == name }) {
		return nil
	}
	one := listed{name: name, property: -1}
	switch name {
	case property.NameEventUsage:
		l.usage = true
	case nameReachAuto, nameReachManual:
	default:
		var err error
		if one.property, err = l.q.props.use(field, name); err != nil {
			return err
		}
	}
	l.listed = append(l.listed, one)
	return nil
}

// readDaily reads retDailyData.
func (l *list) readDaily(b *Body, given Params) error {
	if b.RetDailyData == nil || b.RetDailyData.Kind() == 'n' {
		return nil
	}
	const field = "retDailyData"
	m, err := objectOf(field, b.RetDailyData)
	if err != nil {
		return err
	}
	var of Body
	var names []string
	for _, one := range []struct {
		name string
		into any
		want string
	}{
		{"startDate", &of.StartDate, "a date"}, {"stopDate", &of.StopDate, "a date"}, {"properties", &names, "an array of strings"},
	} {
		if err := m.read(field, one.name, one.into, one.want); err != nil {
			return err
		}
	}
	daily, err := newBase(b, given)
	if err != nil {
		return err
	}
	if daily.days, err = of.dates(l.q.today, ByDay); err != nil {
		if in, ok := errors.AsType[*FieldError](err); ok {
			in.Field = field + "." + in.Field
		}
		return err
	}
	daily.needs.inRange = true
	l.daily = &daily
	for i, name := range names {
		if err := l.listDaily(fmt.Sprintf("%s.properties.%d", field, i), name); err != nil {
			return err
		}
	}
	return nil
}

func (l *list) listDaily(field, name string) error {
	if _, daily, known := propertyOf(name); known && !daily {
		return wrong(field, "%q has no value of each day", name)
	}
	at, err := l.daily.props.use(field, name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(l.byDay, func(have listed) bool { return have.name == name }) {
		l.byDay = append(l.byDay, listed{name: name, property: at})
	}
	return nil
}

// answer looks at as many clients at once as memory allows, in the order of
// the list, until a page is full.
func (l *list) answer(ctx context.Context, src Source) (Answer, error) {
	found := page{}
	start := idBound{text: l.start, included: true}
	for {
		ids, more, err := l.ids(ctx, src, start)
		if err != nil {
			return Answer{}, err
		}
		err = l.look(ctx, src, ids, &found)
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
	if found.rows == nil {
		found.rows = []Object{}
	}
	return Answer{Result: found.rows, More: more}, nil
}

// page is what a page has so far.
type page struct {
	ids  []int64
	rows []Object
	next int64 // the client that the next page starts at; 0 is none
}

// idBound is where ids begin.
type idBound struct {
	text     string
	included bool
}

func (b *idBound) has(id int64) bool {
	var buf [20]byte
	order := cmp.Compare(string(strconv.AppendInt(buf[:0], id, 10)), b.text)
	return order > 0 || order == 0 && b.included
}

// idKey orders ids by the bytes of their decimals.
type idKey struct {
	scaled uint64 // the id with zeros behind it, up to 19 digits
	digits int
}

func keyOf(id int64) idKey {
	k := idKey{scaled: uint64(id)}
	for rest := id; rest > 0; rest /= 10 {
		k.digits++
	}
	const most = 19
	for range most - k.digits {
		k.scaled *= 10
	}
	return k
}

func compareIDs(a, b int64) int {
	x, y := keyOf(a), keyOf(b)
	return cmp.Or(cmp.Compare(x.scaled, y.scaled), cmp.Compare(x.digits, y.digits))
}

// ids are the first clients from a bound on, as many as a window has, and
// whether there are more.
func (l *list) ids(ctx context.Context, src Source, from idBound) (ids []int64, more bool, err error) {
	cut := func() {
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
			cut()
		}
	}
	cut()
	return ids, more, nil
}

// restrict makes facts of some clients alone.
func restrict(q *base, ids []int64) []*facts {
	f := newFacts(q, part{to: wholePart})
	for _, id := range ids {
		f.index.put(id, f.grow(id))
	}
	f.fixed = true
	return []*facts{f}
}

// look adds to found those of ids that match.
func (l *list) look(ctx context.Context, src Source, ids []int64, found *page) error {
	lanes, err := l.q.pass(ctx, src, func() []*facts { return restrict(l.q, ids) })
	if err != nil {
		return err
	}
	f := lanes[0]
	for u, id := range ids {
		if !f.matches(int32(u), maxDay) {
			continue
		}
		if len(found.ids) == l.page {
			found.next = id
			return nil
		}
		row := Object{{property.NameClientID, strconv.FormatInt(id, 10)}}
		for _, one := range l.listed {
			row = append(row, Member{one.name, l.value(f, int32(u), one)})
		}
		found.ids, found.rows = append(found.ids, id), append(found.rows, row)
	}
	return nil
}

func (*list) value(f *facts, u int32, one listed) any {
	if one.property < 0 {
		return []Object{} // of events it is put there later
	}
	v := f.value(u, one.property, maxDay)
	return v.typed(&f.q.props.all[one.property])
}

// typed is a value as a list writes it: as a number, truth or text, by its
// property.
func (v *Value) typed(p *usedProperty) any {
	switch {
	case p.typ == property.Flag:
		return v.truth()
	case v.Null:
		return NullLabel
	case p.source == property.UserAttribute:
		return jsontext.Value(v.raw)
	case p.typ == property.Boolean:
		return v.truth()
	case p.typ == property.Number:
		if number := jsontext.Value(v.Text); number.Kind() == '0' && number.IsValid() {
			return number
		}
	}
	return v.Text
}

// details adds what is looked up for the clients of the page alone.
func (l *list) details(ctx context.Context, src Source, found *page) error {
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
	l.daily.given.Bytes = unbounded // a page of clients
	lanes, err := l.daily.pass(ctx, src, func() []*facts { return restrict(l.daily, found.ids) })
	if err != nil {
		return err
	}
	f := lanes[0]
	for u := range found.ids {
		found.rows[u] = append(found.rows[u], Member{"dailyData", l.dailyOf(f, int32(u))})
	}
	return nil
}

// unbounded is for what is bounded otherwise.
const unbounded = 1 << 60

// dailyOf is one element for each day on which a client was active.
func (l *list) dailyOf(f *facts, u int32) []Object {
	out := []Object{}
	for bucket := range l.daily.days.Buckets {
		if !f.activeIn(u, bucket) {
			continue
		}
		day := &l.daily.days.Buckets[bucket]
		row := Object{{"date", day.Key.String()}}
		for _, one := range l.byDay {
			v := f.value(u, one.property, day.To)
			row = append(row, Member{one.name, v.typed(&f.q.props.all[one.property])})
		}
		out = append(out, row)
	}
	return out
}

// addUsage puts in how often each client sent each event.
func (l *list) addUsage(ctx context.Context, src Source, found *page) error {
	q := base{given: l.q.given, zone: l.q.zone, days: OpenRange(minDay), moment: latest, everyEvent: true, clients: found.ids}
	q.given.Bytes = unbounded // a page of clients
	lanes, err := q.pass(ctx, src, func() []*facts { return restrict(&q, found.ids) })
	if err != nil {
		return err
	}
	f := lanes[0]
	at := 1 + slices.IndexFunc(l.listed, func(one listed) bool { return one.name == property.NameEventUsage })
	for u := range found.ids {
		all := slices.Clone(f.counts.of(int32(u)))
		slices.SortFunc(all, func(a, b pairCell) int { return f.events.all[a.event].compare(f.events.all[b.event].event) })
		rows := []Object{}
		for _, p := range all {
			e := &f.events.all[p.event]
			rows = append(rows, Object{{"eventCategory", categoryName(e.category)}, {"eventName", e.name}, {"eventCount", p.count}})
		}
		found.rows[u][at].Value = rows
	}
	return nil
}
