package rollup

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
	"weir/schemas/columns"
)

// Columns are the columns of an event batch that a Set reads to have what is
// wanted. Of a batch that lacks others it gathers rows without what they say.
func Columns(wants Wants) []string {
	names := []string{columns.ProductID, columns.ClientID, columns.Time, columns.Offset, columns.Name, columns.Category}
	if wants&WantSums != 0 {
		names = append(names, columns.RuntimeMS)
	}
	if wants&WantProperties != 0 {
		names = append(names, columns.Client)
	}
	if wants&WantValues != 0 {
		names = append(names, columns.Value)
	}
	return names
}

// Set gathers the rollup rows of the events added to it. It belongs to one
// goroutine and keeps nothing of a batch once that was added.
type Set struct {
	toDay   func(ms int64) int32 // the day of an event time
	events  int64
	strings stringTable // names and categories
	props   propertyTable

	dayIndex map[dayKey]int32 // index in days
	days     []day
	rowIndex map[eventKey]int32 // index in rows
	rows     []eventRow

	lastDay                   int32   // index in days of the row before; events of one client come in runs
	nameIDs, categoryIDs      []int32 // of the batch being added: code → word, or unseen
	propertyIDs               []int32 // of the batch being added: code → parsed, or unseen
	sessionStart, sessionStop int32   // the words session_start and session_stop
	propertyCount             int64   // properties that days hold
}

type dayKey struct {
	product, client int64
	day             int32
}

// day is the client's day being gathered. Properties that were said last are
// kept as a reference to what was parsed once; only when others come are they
// merged into the row's.
type day struct {
	row     ClientDay
	pending int32 // index in parsed of what was said last; none before the first
	time    int64 // of the latest event that said pending
	offset  int64
}

type eventKey struct {
	day, category, name int32 // index in days, words; category may be none
}

type eventRow struct {
	key        eventKey
	count      int64
	valueSum   decimal128.Num
	valueCount int64
	first      int64
}

const (
	noID   = -1
	unseen = math.MinInt32
)

// NewSet returns an empty set, whose days are UTC.
func NewSet() *Set { return NewSetWithDays(Day) }

// NewSetWithDays returns an empty set whose days are those of a function of the
// epoch millisecond. Such rows are for an answer alone: the lake keeps UTC days.
func NewSetWithDays(day func(ms int64) int32) *Set {
	s := &Set{
		toDay:   day,
		strings: stringTable{ids: map[string]int32{}}, props: propertyTable{ids: map[string]int32{}},
		dayIndex: map[dayKey]int32{}, rowIndex: map[eventKey]int32{}, lastDay: noID,
	}
	s.sessionStart, s.sessionStop = s.strings.add(schemas.SessionStart), s.strings.add(schemas.SessionStop)
	return s
}

// AddBatch adds all rows of a batch, which has Columns.
func (s *Set) AddBatch(rec arrow.Record) error { return s.AddBatchIf(rec, nil) }

// AddBatchIf adds the rows of a batch that are wanted, nil is all of them.
func (s *Set) AddBatchIf(rec arrow.Record, wants func(i int) bool) error {
	v, err := columns.Bind(rec)
	if err != nil {
		return fmt.Errorf("roll up: %w", err)
	}
	if v.Rows > 0 && (v.Product == nil || v.Client == nil || v.Time == nil || v.Offset == nil) {
		return fmt.Errorf("roll up: batch lacks one of %s", strings.Join(Columns(0), ", "))
	}
	s.resetCodes(&v)
	for i := range v.Rows {
		if wants == nil || wants(i) {
			s.addRow(&v, i)
		}
	}
	return nil
}

// Add adds row i of v, which has Columns.
func (s *Set) Add(v *columns.View, i int) {
	s.resetCodes(v)
	s.addRow(v, i)
}

// resetCodes forgets what codes of the batch before meant.
func (s *Set) resetCodes(v *columns.View) {
	s.nameIDs, s.categoryIDs = unseenCodes(s.nameIDs, v.Name.DictionaryLen()), unseenCodes(s.categoryIDs, v.Category.DictionaryLen())
	s.propertyIDs = unseenCodes(s.propertyIDs, v.ClientProps.DictionaryLen())
}

func unseenCodes(codes []int32, n int) []int32 {
	codes = slices.Grow(codes[:0], n)[:n]
	for i := range codes {
		codes[i] = unseen
	}
	return codes
}

func (s *Set) addRow(v *columns.View, i int) {
	at := v.TimeMS(i)
	in := s.day(v.Product[i], v.Client[i], at)
	d := &s.days[in]
	name := s.stringID(&v.Name, s.nameIDs, i)
	d.row.Events++
	d.row.First, d.row.Last = min(d.row.First, at), max(d.row.Last, at)
	switch name {
	case s.sessionStart:
		d.row.Sessions++
	case s.sessionStop:
		if !v.Runtime.Null(i) {
			d.row.RuntimeMS += v.Runtime.At(i)
		}
	}
	if said := s.propertiesID(&v.ClientProps, i); said != noID {
		s.setProperties(d, said, at, v.Offset[i])
	}

	r := s.row(eventKey{day: in, category: s.stringID(&v.Category, s.categoryIDs, i), name: name})
	r.count++
	r.first = min(r.first, at)
	if !v.Value.Null(i) {
		r.valueSum = r.valueSum.Add(v.Value.At(i))
		r.valueCount++
	}
	s.events++
}

// day is the index of the day of a client at a time.
func (s *Set) day(product, client, at int64) int32 {
	on := s.toDay(at)
	if s.lastDay >= 0 {
		if d := &s.days[s.lastDay].row; d.Client == client && d.Product == product && d.Day == on {
			return s.lastDay
		}
	}
	key := dayKey{product: product, client: client, day: on}
	in, known := s.dayIndex[key]
	if !known {
		in = int32(len(s.days))
		s.dayIndex[key] = in
		s.days = append(s.days, day{
			row:     ClientDay{Product: product, Client: client, Day: on, First: math.MaxInt64, Last: math.MinInt64},
			pending: noID,
		})
	}
	s.lastDay = in
	return in
}

// row is the row of key, made if need be.
func (s *Set) row(key eventKey) *eventRow {
	in, known := s.rowIndex[key]
	if !known {
		in = int32(len(s.rows))
		s.rowIndex[key] = in
		s.rows = append(s.rows, eventRow{key: key, first: math.MaxInt64})
	}
	return &s.rows[in]
}

// stringID is the word of row i, none without one. codes remembers the words of
// the batch's codes.
func (s *Set) stringID(col *columns.Strings, codes []int32, i int) int32 {
	if col.Null(i) {
		return noID
	}
	if !col.IsDictionary() {
		return s.strings.add(col.At(i))
	}
	code := col.Code(i)
	if codes[code] == unseen {
		codes[code] = s.strings.add(col.DictionaryValue(code))
	}
	return codes[code]
}

// propertiesID is what row i says of the client's properties; none when nothing.
func (s *Set) propertiesID(col *columns.Strings, i int) int32 {
	if col.Null(i) {
		return noID
	}
	if !col.IsDictionary() {
		return s.props.add(col.At(i))
	}
	code := col.Code(i)
	if s.propertyIDs[code] == unseen {
		s.propertyIDs[code] = s.props.add(col.DictionaryValue(code))
	}
	return s.propertyIDs[code]
}

// setProperties notes that an event said the properties said. To say the same again only
// makes it later.
func (s *Set) setProperties(d *day, said int32, at, offset int64) {
	if d.pending != said {
		s.mergePending(d)
		d.pending, d.time, d.offset = said, at, offset
		return
	}
	if at > d.time || (at == d.time && offset > d.offset) {
		d.time, d.offset = at, offset
	}
}

// mergePending merges what was said last into the row's properties.
func (s *Set) mergePending(d *day) {
	if d.pending == noID {
		return
	}
	before := len(d.row.Properties)
	d.row.Properties = d.row.Properties.Merge(s.props.stamped(d.pending, d.time, d.offset))
	s.propertyCount += int64(len(d.row.Properties) - before)
	d.pending = noID
}

// Merge adds all that was added to o, which stays as it is.
func (s *Set) Merge(o *Set) {
	to := make([]int32, len(o.days)) // index in o.days → in s.days
	for i := range o.days {
		from := &o.days[i]
		o.mergePending(from)
		to[i] = s.day(from.row.Product, from.row.Client, from.row.First)
		d := &s.days[to[i]]
		s.mergePending(d)
		before := len(d.row.Properties)
		d.row.Merge(&from.row)
		s.propertyCount += int64(len(d.row.Properties) - before)
	}
	for i := range o.rows {
		from := &o.rows[i]
		key := eventKey{day: to[from.key.day], category: noID, name: s.strings.add(o.strings.strings[from.key.name])}
		if from.key.category != noID {
			key.category = s.strings.add(o.strings.strings[from.key.category])
		}
		r := s.row(key)
		r.count += from.count
		r.first = min(r.first, from.first)
		r.valueSum = r.valueSum.Add(from.valueSum)
		r.valueCount += from.valueCount
	}
	s.events += o.events
}

// Events is how many events were added.
func (s *Set) Events() int64 { return s.events }

// Len is how many rows of client days and event days the set has.
func (s *Set) Len() int { return len(s.days) + len(s.rows) }

// Bytes estimates the memory of the set.
func (s *Set) Bytes() int64 {
	const dayBytes, rowBytes, propertyBytes = 176 + 48, 72 + 32, 64 // each with its entry in a map
	return int64(len(s.days))*dayBytes + int64(len(s.rows))*rowBytes +
		s.propertyCount*propertyBytes + s.strings.bytes + s.props.bytes
}

// ClientDays yields the rows in the order of Compare. A row is the set's: it
// may be read until the set changes.
func (s *Set) ClientDays() iter.Seq[*ClientDay] {
	return func(yield func(*ClientDay) bool) {
		for _, i := range s.sortedDays((*ClientDay).Compare) {
			if !yield(&s.days[i].row) {
				return
			}
		}
	}
}

// sortedDays are the indexes of all days in order, with nothing pending.
func (s *Set) sortedDays(compare func(a, b *ClientDay) int) []int32 {
	order := make([]int32, len(s.days))
	for i := range s.days {
		s.mergePending(&s.days[i])
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return compare(&s.days[a].row, &s.days[b].row) })
	return order
}

// EventDays yields the rows in the order of Compare. A row is valid until the
// next.
func (s *Set) EventDays() iter.Seq[*EventDay] {
	return func(yield func(*EventDay) bool) {
		order := make([]int32, len(s.rows))
		for i := range order {
			order[i] = int32(i)
		}
		var a, b EventDay
		slices.SortFunc(order, func(i, j int32) int {
			s.eventDay(&a, i)
			s.eventDay(&b, j)
			return a.Compare(&b)
		})
		for _, i := range order {
			s.eventDay(&a, i)
			if !yield(&a) {
				return
			}
		}
	}
}

func (s *Set) eventDay(into *EventDay, i int32) {
	r := &s.rows[i]
	d := &s.days[r.key.day].row
	*into = EventDay{
		Product: d.Product, Client: d.Client, Day: d.Day, Name: s.strings.strings[r.key.name],
		Count: r.count, ValueSum: r.valueSum, ValueCount: r.valueCount, First: r.first,
	}
	if r.key.category != noID {
		into.HasCategory, into.Category = true, s.strings.strings[r.key.category]
	}
}

// Clients yields the rows in the order of Compare: a client is the sum of its
// days. A row is valid until the next.
func (s *Set) Clients() iter.Seq[*Client] {
	return func(yield func(*Client) bool) {
		order := s.sortedDays(func(a, b *ClientDay) int {
			return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Day, b.Day))
		})
		for len(order) > 0 {
			c := clientFromDay(&s.days[order[0]].row)
			order = order[1:]
			for len(order) > 0 && s.days[order[0]].row.Client == c.Client && s.days[order[0]].row.Product == c.Product {
				next := clientFromDay(&s.days[order[0]].row)
				c.Merge(&next)
				order = order[1:]
			}
			if !yield(&c) {
				return
			}
		}
	}
}

func clientFromDay(d *ClientDay) Client {
	return Client{
		Product: d.Product, Client: d.Client, Events: d.Events, Sessions: d.Sessions, RuntimeMS: d.RuntimeMS,
		First: d.First, Last: d.Last, Properties: d.Properties,
	}
}
