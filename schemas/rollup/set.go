package rollup

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
	"weir/schemas/columns"
)

// Columns returns the columns of an event batch that a Set must read to fill the
// wanted columns. A batch may lack optional ones; the rows then lack their figures.
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

// Set aggregates events into rollup rows. It belongs to one goroutine, and copies
// what it needs of a batch.
//
// Rows lie in slices and are found by index through Go maps, so that adding an
// event of a known key allocates nothing, and a map entry stays small. Strings and
// properties are interned: a batch's dictionary codes are looked up once a batch
// instead of once a row.
type Set struct {
	toDay   func(ms int64) int32 // maps an event time to a day
	events  int64
	strings stringTable // names and categories
	props   propertyTable

	dayIndex map[dayKey]int32 // index in days
	days     []day
	rowIndex map[eventKey]int32 // index in rows
	rows     []eventRow

	lastDay                   int32   // index in days of the previous row: events of one client come in runs
	nameIDs, categoryIDs      []int32 // of the batch being added: dictionary code → id in strings, or unseen
	propertyIDs               []int32 // of the batch being added: dictionary code → id in props, or unseen
	sessionStart, sessionStop int32   // ids of session_start and session_stop
	propertyCount             int64   // properties held by all days; for Bytes

	sent      []sentProperties // not yet merged into the rows of their days
	sentNames int64            // of all of them
	dropped   int64            // properties that Bounded left out when rows were merged
}

// sentProperties are properties that events of a day sent.
type sentProperties struct {
	day, id      int32 // index in days; id in props
	time, offset int64 // of the latest of these events
}

type dayKey struct {
	product, client int64
	day             int32
}

// day is a client's day being aggregated. The properties of its latest events are
// kept as a reference to the interned ones. When an event with other properties
// comes, the reference goes to Set.sent, and many of those are merged at once. Most
// clients send the same ones with every event, so most days merge once.
type day struct {
	row     ClientDay
	pending int32 // id in props of properties not yet merged; noID if there are none
	time    int64 // of the latest event that sent pending
	offset  int64
}

type eventKey struct {
	day, category, name int32 // index in days; ids in strings. category may be noID
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

// NewSetWithDays returns an empty set whose days are given by a function of the
// epoch millisecond, as a report in another time zone needs them. Such rows must
// not be stored: the lake keeps UTC days.
func NewSetWithDays(day func(ms int64) int32) *Set {
	s := &Set{
		toDay:   day,
		strings: stringTable{ids: map[string]int32{}}, props: propertyTable{ids: map[string]int32{}},
		dayIndex: map[dayKey]int32{}, rowIndex: map[eventKey]int32{}, lastDay: noID,
	}
	s.sessionStart, s.sessionStop = s.strings.add(schemas.SessionStart), s.strings.add(schemas.SessionStop)
	return s
}

// Counts are how many rows a Set has of clients' days and of events' days.
type Counts struct{ ClientDays, EventDays int }

// CountsOf returns the counts of s.
func CountsOf(s *Set) Counts { return Counts{ClientDays: len(s.days), EventDays: len(s.rows)} }

// NewSetOfSize returns NewSet with room for about n rows, as many as a set like it had.
func NewSetOfSize(n Counts) *Set {
	s := NewSet()
	days, rows := n.ClientDays+n.ClientDays/8, n.EventDays+n.EventDays/8
	s.days, s.dayIndex = make([]day, 0, days), make(map[dayKey]int32, days)
	s.rows, s.rowIndex = make([]eventRow, 0, rows), make(map[eventKey]int32, rows)
	return s
}

// AddBatch adds all rows of a batch that has Columns.
func (s *Set) AddBatch(rec arrow.Record) error { return s.AddBatchIf(rec, nil) }

// AddBatchIf adds the rows of a batch for which wants returns true; a nil wants
// adds all.
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

// Add adds row i of v, whose batch has Columns.
func (s *Set) Add(v *columns.View, i int) {
	s.resetCodes(v)
	s.addRow(v, i)
}

// resetCodes forgets the dictionary codes of the previous batch: dictionaries
// differ from batch to batch.
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
			d.row.RuntimeMS = AddRuntime(d.row.RuntimeMS, v.Runtime.At(i))
		}
	}
	if id := s.propertiesID(&v.ClientProps, i); id != noID {
		s.setProperties(in, id, at, v.Offset[i])
	}

	r := s.row(eventKey{day: in, category: s.stringID(&v.Category, s.categoryIDs, i), name: name})
	r.count++
	r.first = min(r.first, at)
	if !v.Value.Null(i) {
		r.valueSum = addValue(r.valueSum, v.Value.At(i))
		r.valueCount++
	}
	s.events++
}

// day returns the index of the day of a client at a time, and adds it if needed.
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

// row returns the row of key, and adds it if needed.
func (s *Set) row(key eventKey) *eventRow {
	in, known := s.rowIndex[key]
	if !known {
		in = int32(len(s.rows))
		s.rowIndex[key] = in
		s.rows = append(s.rows, eventRow{key: key, first: math.MaxInt64})
	}
	return &s.rows[in]
}

// stringID returns the id of row i's string, noID if it is null. codes caches the
// ids of the batch's dictionary codes.
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

// propertiesID returns the id of the client's properties in row i; noID if it has
// none.
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

// setProperties records that an event sent these properties. Sending the same ones
// again only moves their time.
func (s *Set) setProperties(in, id int32, at, offset int64) {
	d := &s.days[in]
	if d.pending != id {
		s.queuePending(in, d)
		d.pending, d.time, d.offset = id, at, offset
		return
	}
	if at > d.time || (at == d.time && offset > d.offset) {
		d.time, d.offset = at, offset
	}
}

// minSentNames is how many names Set.sent takes at least before they are merged.
const minSentNames = 4096

// queuePending moves the pending properties of a day to sent. These are merged when
// they have twice as many names as all rows: each name is then merged a bounded number
// of times, however often the clients of the set change what they send.
func (s *Set) queuePending(in int32, d *day) {
	if d.pending == noID {
		return
	}
	s.sent = append(s.sent, sentProperties{in, d.pending, d.time, d.offset})
	s.sentNames += int64(len(s.props.properties[d.pending]))
	d.pending = noID
	if s.sentNames > max(minSentNames, 2*s.propertyCount) {
		s.mergeSent()
	}
}

// mergeSent merges sent into the rows, those of each day at once.
func (s *Set) mergeSent() {
	slices.SortFunc(s.sent, func(a, b sentProperties) int { return cmp.Compare(a.day, b.day) })
	for rest := s.sent; len(rest) > 0; {
		in, all := rest[0].day, s.props.scratch[:0]
		for len(rest) > 0 && rest[0].day == in {
			all = s.props.appendStamped(all, rest[0].id, rest[0].time, rest[0].offset)
			rest = rest[1:]
		}
		s.props.scratch = all
		mergeInto(s, &s.days[in], latestOfEach(all))
	}
	s.sent, s.sentNames = s.sent[:0], 0
}

// latestOfEach sorts p by name and keeps the latest observation of each.
func latestOfEach(p Properties) Properties {
	slices.SortFunc(p, func(a, b Property) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		if a.newer(&b) {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(p, func(a, b Property) bool { return a.Name == b.Name })
}

// mergePending merges the pending properties into the row's.
func (s *Set) mergePending(d *day) {
	if d.pending == noID {
		return
	}
	s.props.scratch = s.props.appendStamped(s.props.scratch[:0], d.pending, d.time, d.offset)
	mergeInto(s, d, s.props.scratch)
	d.pending = noID
}

// mergeInto merges properties into the row of a day.
func mergeInto(s *Set, d *day, p Properties) {
	before, all := len(d.row.Properties), d.row.Properties.union(p)
	d.row.Properties = all.Bounded()
	s.dropped += int64(len(all) - len(d.row.Properties))
	s.propertyCount += int64(len(d.row.Properties) - before)
}

// Merge adds everything that was added to o. The rows of o do not change.
func (s *Set) Merge(o *Set) {
	o.mergeSent()
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
		r.valueSum = addValues(r.valueSum, from.valueSum)
		r.valueCount += from.valueCount
	}
	s.events += o.events
}

// PropertiesLeftOut returns how many properties Bounded has left out: of each text of
// $client, and of each row that texts were merged into. Read it after the rows.
func PropertiesLeftOut(s *Set) int64 { return s.props.dropped + s.dropped }

// Events returns the number of events added.
func (s *Set) Events() int64 { return s.events }

// Len returns the number of client days and event days in the set.
func (s *Set) Len() int { return len(s.days) + len(s.rows) }

// Bytes estimates the memory of the set.
func (s *Set) Bytes() int64 {
	const dayBytes, rowBytes, propertyBytes, sentBytes = 176 + 48, 72 + 32, 64, 24 // with entries in maps
	return int64(len(s.days))*dayBytes + int64(len(s.rows))*rowBytes +
		s.propertyCount*propertyBytes + int64(len(s.sent))*sentBytes + s.strings.bytes + s.props.bytes
}
