package report

import (
	"cmp"
	"errors"
	"math"
	"strings"

	"weir/schemas/rollup"
)

// ErrFull says that the clients of a pass need more memory than allowed. The
// pass is repeated with fewer clients.
var ErrFull = errors.New("more clients than fit one pass")

// clientStats is what a question keeps about each client of its hash range.
// Clients that groupBy counts as one are one unit. One worker owns a
// clientStats: nothing in it is safe for concurrent use.
//
// Slices "by unit and slot" have a fixed number of slots for each unit, one
// after the other, so that a client costs no allocation of its own.
type clientStats struct {
	q         *base
	clients   hashRange   // ids outside are skipped
	rows      rowRange    // this worker's share of rows that do not depend on clients
	maxBytes  int64       // memory limit of this worker
	unitIndex clientIndex // client id → index in units
	onlyKnown bool        // no client is added to unitIndex

	units        []unit
	current      []observation // latest reported value, by unit and slot
	attributes   []observation // user attributes, by unit and slot
	optOuts      optOuts
	history      [][]valueRun // daily values, by unit and slot; nil unless markHistory found a need
	unmerged     bool         // history keeps each observation by itself
	usages       []int64      // lifetimeEventUsage, by unit and slot
	bucketBits   []uint64     // by unit and word: a bit for each bucket with activity
	bucketWords  int
	bucketSets   []daySet       // by unit: those buckets, where there are more than denseWords
	activeDays   []daySet       // all days with activity, by unit
	bucketTotals []bucketTotals // by bucket; of the clients of this range

	eventIndex   eventIndex
	eventCounts  eventCounts // occurrences by unit and number of an event
	bytes        int64       // of what the slices point to
	unitCache    unitCache
	lastCode     []int32           // latest code, by slot
	found        []rollup.Property // scratch: the properties of one row
	daily        dailySlots
	codes        map[string]int32
	values       []Value         // by code; code 0 is null
	canonical    [3][]int32      // by type of canonicalTypes and code: 1 + the code as its type writes it; 0 is unknown
	continents   map[int32]int32 // country code → continent code
	matched      [][]int8        // by condition and code: 0 is unknown, 1 matches, 2 does not
	seriesByCode [][][]seriesKey // by level and code; nil is unknown
	lastSeries   []unitSeries    // by level
}

// unit is one client, or several that groupBy counts as one.
type unit struct {
	id             int64 // client id; 0 for several clients
	first, last    int64 // earliest and latest event time; epoch milliseconds
	sessions       int64 // of the whole life, like runtimeMS
	runtimeMS      int64
	rangeSessions  int64
	rangeRuntimeMS int64
	changed        bool // a daily value is later than a time as of which values are read
}

// observation is a value of a property that an event reported, and when. Later
// observations replace earlier ones, by time and then offset.
type observation struct {
	code         int32 // index in clientStats.values; 0 is null
	day          Day
	time, offset int64
}

// unset is the time of an observation that no event made: any real one is
// later.
const unset = math.MinInt64

// newClientStats returns empty stats for the clients of a hash range, with the
// memory limit of the question.
func newClientStats(q *base, hashes hashRange) *clientStats {
	cs := &clientStats{
		q: q, clients: hashes, maxBytes: q.params.Bytes, bucketWords: (len(q.days.Buckets) + 63) / 64,
		codes: map[string]int32{}, values: []Value{{Null: true}}, continents: map[int32]int32{},
		matched: make([][]int8, q.props.conditions), seriesByCode: make([][][]seriesKey, q.props.levels),
		lastSeries: make([]unitSeries, q.props.levels),
		eventIndex: newEventIndex(q), lastCode: make([]int32, len(q.props.reported)),
		found: make([]rollup.Property, len(q.props.reported)), daily: dailySlotsOf(&q.props),
	}
	if q.needs.bucketTotals {
		cs.bucketTotals = make([]bucketTotals, len(q.days.Buckets))
	}
	return cs
}

// unitOf returns the unit of a client, and adds one for a new client; false for
// clients of other ranges and, with onlyKnown, for unknown ones.
func (cs *clientStats) unitOf(client int64) (int32, bool) {
	if !cs.clients.has(client) {
		return 0, false
	}
	if u, known := cs.unitIndex.find(client); known || cs.onlyKnown {
		return u, known
	}
	u := cs.addUnit(client)
	cs.unitIndex.put(client, u)
	return u, true
}

// addUnit adds a unit with all its slots and returns its number. id is 0 where
// a unit is several clients.
func (cs *clientStats) addUnit(id int64) int32 {
	u := int32(len(cs.units))
	cs.units = append(cs.units, unit{id: id, first: math.MaxInt64, last: math.MinInt64})
	for range cs.q.props.reported {
		cs.current = append(cs.current, observation{time: unset, day: minDay})
	}
	for range cs.q.props.userAttributes {
		cs.attributes = append(cs.attributes, observation{time: unset, day: minDay})
	}
	for range cs.q.props.usages {
		cs.usages = append(cs.usages, 0)
	}
	if cs.q.needs.rangeDays && cs.bucketWords > denseWords {
		cs.bucketSets = append(cs.bucketSets, daySet{})
	} else if cs.q.needs.rangeDays {
		for range cs.bucketWords {
			cs.bucketBits = append(cs.bucketBits, 0)
		}
	}
	if cs.q.needs.activeDays {
		cs.activeDays = append(cs.activeDays, daySet{})
	}
	return u
}

// checkMemory returns ErrFull when the memory limit is exceeded. A single unit
// is always allowed, because there is no smaller pass.
func (cs *clientStats) checkMemory() error {
	if cs.bytesUsed() > cs.maxBytes && len(cs.units) > 1 {
		return ErrFull
	}
	return nil
}

// bytesUsed returns the size of the stats in bytes: the capacity of the slices
// that grow with clients, and what they point to.
func (cs *clientStats) bytesUsed() int64 {
	const unitBytes, observationBytes = 72, 24
	return cs.bytes + cs.unitIndex.bytes() + cs.eventCounts.bytes() + int64(cap(cs.units))*unitBytes +
		int64(cap(cs.current)+cap(cs.attributes))*observationBytes + int64(cap(cs.usages)+cap(cs.bucketBits))*8 + int64(cap(cs.activeDays)+cap(cs.bucketSets))*32
}

// addClients adds rows of the clients rollup: first and last day, sums, and the
// latest reported values.
func (cs *clientStats) addClients(b *rollup.ClientBatch) error {
	for i, client := range b.Client {
		at, ok := cs.unitOf(client)
		if !ok {
			continue
		}
		u := &cs.units[at]
		u.first, u.last = min(u.first, b.First[i]), max(u.last, b.Last[i])
		if b.Sessions != nil {
			u.sessions += b.Sessions[i]
			u.runtimeMS = rollup.AddRuntime(u.runtimeMS, b.RuntimeMS[i])
		}
		if len(cs.q.props.reported) == 0 {
			continue
		}
		if err := rollup.FindProperties(b.Properties[i], cs.q.props.reported, cs.found); err != nil {
			return err
		}
		now := cs.current[int(at)*len(cs.q.props.reported):]
		for slot := range cs.found {
			if p := &cs.found[slot]; p.Name != "" {
				cs.keepLater(&now[slot], cs.observe(p, slot))
			}
		}
	}
	return cs.checkMemory()
}

// has reports whether stats are kept for a client. Clients without an event
// have none.
func (cs *clientStats) has(client int64) bool {
	_, ok := cs.unitIndex.find(client)
	return ok
}

// addUserAttribute adds a value that the product's owner set for a user.
func (cs *clientStats) addUserAttribute(t *UserAttribute) error {
	slot, wanted := cs.q.props.attributeSlots[t.Name]
	at, ok := cs.unitIndex.find(t.Client)
	if !wanted || !ok {
		return nil
	}
	observed := observation{code: cs.codeOf(t.Value), time: t.Time, offset: t.Offset}
	cs.keepLater(&cs.attributes[int(at)*len(cs.q.props.userAttributes)+slot], observed)
	return cs.checkMemory()
}

// observe returns the observation that a reported property is. Clearing a
// property is an observation too, of code 0. Most clients report the value that
// the client before them did, so the last code of each slot is tried before the
// map.
func (cs *clientStats) observe(p *rollup.Property, slot int) observation {
	last := &cs.lastCode[slot]
	if cs.values[*last].raw != p.Value {
		*last = cs.codeOf(p.Value)
	}
	return observation{code: *last, day: cs.q.zone.Day(p.Time), time: p.Time, offset: p.Offset}
}

// codeOf returns the code of a JSON value, which is new or known. Null is 0.
// The text is copied, because the batch that it is part of goes away.
func (cs *clientStats) codeOf(raw string) int32 {
	if code, known := cs.codes[raw]; known {
		return code
	}
	own := strings.Clone(raw)
	v := valueOf(own)
	code := int32(0)
	if !v.Null {
		code = int32(len(cs.values))
		cs.values = append(cs.values, v)
	}
	cs.codes[own] = code
	cs.bytes += int64(2*len(raw)) + 96
	return code
}

// keepLater replaces an observation by a later one. Equal times and offsets are
// decided by the text, so that the order of rows does not matter.
func (cs *clientStats) keepLater(have *observation, other observation) {
	order := cmp.Or(cmp.Compare(other.time, have.time), cmp.Compare(other.offset, have.offset))
	if order == 0 {
		order = strings.Compare(cs.values[other.code].Text, cs.values[have.code].Text)
	}
	if order > 0 {
		*have = other
	}
}

// daysScan returns the scan of client days, after clients are known; false if
// no days are needed. Days are read with properties only if some client
// reported a daily value after a time as of which values are read: else the
// current values suffice.
func daysScan(workers []*clientStats) (Scan, bool) {
	q := workers[0].q
	s := Scan{From: maxDay, To: minDay, Clients: q.clients}
	if q.needs.rangeDays {
		s.From, s.To = q.days.From, q.days.To
	}
	if q.needs.activeDays {
		s.From, s.To = minDay, maxDay
	}
	if q.needs.daySums {
		s.Wants |= rollup.WantSums
	}
	for _, cs := range workers {
		if cs.markHistory() {
			s.Wants |= rollup.WantProperties
		}
	}
	switch history := s.Wants&rollup.WantProperties != 0; {
	case history && q.asOf == asOfInstall:
		s.From, s.To = min(s.From, q.days.From), max(s.To, q.days.To)
	case history:
		s.From, s.To = minDay, max(s.To, q.days.To)
	}
	return s, s.From < s.To
}

// addDays adds rows of the client_days rollup.
func (cs *clientStats) addDays(b *rollup.DayBatch) error {
	units := cs.unitsOf(&b.Client, true)
	if cs.q.needs.rangeDays {
		cs.addInRange(b, units)
	}
	if cs.q.needs.activeDays {
		for i, at := range units {
			if at >= 0 {
				cs.bytes += cs.activeDays[at].add(Day(b.Day[i]))
			}
		}
	}
	if cs.history != nil {
		if err := cs.addHistory(b, units); err != nil {
			return err
		}
	}
	return cs.checkMemory()
}

// addInRange marks the buckets of the range in which clients were active, and
// adds sessions and runtime. Clients that are opted out are not active.
func (cs *clientStats) addInRange(b *rollup.DayBatch, units []int32) {
	for i, at := range units {
		if at < 0 {
			continue
		}
		bucket, inside := cs.q.days.bucket(Day(b.Day[i]))
		if !inside {
			continue
		}
		active := !optedOutOn(cs, at, Day(b.Day[i]))
		if active {
			setActive(cs, at, bucket)
		}
		if cs.q.needs.daySums {
			cs.addSums(&cs.units[at], b, i, bucket, active)
		}
	}
}

// addSums adds the sessions and the runtime of row i to its bucket and, if the
// unit is active on that day, to the unit.
func (cs *clientStats) addSums(u *unit, b *rollup.DayBatch, i, bucket int, active bool) {
	if active {
		u.rangeSessions += b.Sessions[i]
		u.rangeRuntimeMS = rollup.AddRuntime(u.rangeRuntimeMS, b.RuntimeMS[i])
	}
	if cs.q.needs.bucketTotals {
		cs.bucketTotals[bucket].add(b.Sessions[i], b.RuntimeMS[i])
	}
}

// addEvents adds rows of the event_days rollup. Where no event is counted for a
// client, the rows do not depend on clients, and each worker adds its share of
// them.
func (cs *clientStats) addEvents(b *rollup.EventBatch) error {
	rows := cs.eventIndex.bind(b)
	if cs.q.listsEvents() && cs.q.named == nil && cs.eventIndex.listed > cs.q.params.Cost.Limits().EventNames {
		return errManyEvents
	}
	if cs.rows.workers > 0 && !cs.q.countsEvents() {
		for i, to := cs.rows.bounds(len(b.Day)); i < to; i++ {
			if day := Day(b.Day[i]); day < cs.q.days.From || day >= cs.q.days.To {
				continue // names of other days are not listed
			}
			cs.addEvent(&cs.eventIndex.all[rows.at(i)], noUnit, b, i)
		}
		return cs.checkMemory()
	}
	for i, at := range cs.unitsOf(&b.Client, cs.q.countsEvents()) {
		if at != otherRange {
			cs.addEvent(&cs.eventIndex.all[rows.at(i)], at, b, i)
		}
	}
	return cs.checkMemory()
}

// addEvent adds row i for a unit. The unit is noUnit where nothing is counted
// for clients; then only the totals are added to.
func (cs *clientStats) addEvent(e *indexedEvent, at int32, b *rollup.EventBatch, i int) {
	if e.totals == nil && e.usages == nil && e.numbers == nil {
		return
	}
	bucket, inside := cs.q.days.bucket(Day(b.Day[i]))
	if e.totals != nil && inside {
		e.totals[bucket].addRow(b, i)
	}
	for _, slot := range e.usages {
		cs.usages[int(at)*len(cs.q.props.usages)+int(slot)] += b.Count[i]
	}
	if cs.q.needs.rangeEvents && (!inside || optedOutOn(cs, at, Day(b.Day[i]))) {
		return
	}
	for _, n := range e.numbers {
		cs.eventCounts.add(at, n, b.Count[i])
	}
}

// bucketTotals is the activity of all clients in one bucket. Runtime is in
// milliseconds.
type bucketTotals struct{ users, sessions, runtimeMS int64 }

// add adds sessions and runtime. Users are counted by the reports, each client
// once.
func (t *bucketTotals) add(sessions, runtimeMS int64) {
	t.sessions += sessions
	t.runtimeMS = rollup.AddRuntime(t.runtimeMS, runtimeMS)
}
