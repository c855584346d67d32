package report

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"weir/schemas/rollup"
)

// ErrFull says that a pass is about more clients than memory allows.
var ErrFull = errors.New("more clients than fit one pass")

// clientStats are what a question has to know of each client of a pass. Clients that
// are counted as one, by groupBy, are one unit.
type clientStats struct {
	q         *base
	clients   hashRange   // which clients these facts are about
	rows      rowRange    // of rows whose client does not matter
	maxBytes  int64       // bytes that it may take
	unitIndex clientIndex // client id → unit
	closed    bool        // no other clients than those in index

	units        []unit
	current      []observation // by unit and slot of what is said
	attributes   []observation // by unit and slot of what is told
	history      [][]valueRun  // by unit and slot of what is said; nil until something is added
	unmerged     bool          // past has every utterance by itself
	usages       []int64       // by unit and slot of usages
	bucketBits   []uint64      // by unit and word: a bit for each bucket of the range with activity
	bucketWords  int
	activeDays   []daySet       // by unit
	bucketTotals []bucketTotals // by bucket; of clients of the part

	eventIndex   eventIndex
	eventCounts  eventCounts // (unit, number of an event) → occurrences
	bytes        int64       // of what slices here point to
	unitCache    unitCache
	lastCode     []int32           // code by slot
	found        []rollup.Property // scratch: of a row
	daily        dailySlots
	codes        map[string]int32
	values       []Value         // by code; 0 is null
	continents   map[int32]int32 // country code → continent code
	matched      [][]int8        // by condition and code: 0 is not known, 1 holds, 2 does not
	seriesByCode [][][]seriesKey // by level and code
}

// unit is one client, or several that are counted as one.
type unit struct {
	id             int64 // 0 of several
	first, last    int64 // event times of its life; epoch milliseconds
	sessions       int64 // of its life
	runtimeMS      int64
	rangeSessions  int64
	rangeRuntimeMS int64
	changed        bool // some value was said after a moment that is looked at
}

// observation is the value that an event said.
type observation struct {
	code         int32 // 0 is none
	day          Day
	time, offset int64
}

const unset = math.MinInt64

func newClientStats(q *base, p hashRange) *clientStats {
	cs := &clientStats{
		q: q, clients: p, maxBytes: q.params.Bytes, bucketWords: (len(q.days.Buckets) + 63) / 64,
		codes: map[string]int32{}, values: []Value{{Null: true}}, continents: map[int32]int32{},
		matched: make([][]int8, q.props.conditions), seriesByCode: make([][][]seriesKey, q.props.levels),
		eventIndex: newEventIndex(q), lastCode: make([]int32, len(q.props.reported)),
		found: make([]rollup.Property, len(q.props.reported)), daily: dailySlotsOf(&q.props),
	}
	if q.needs.bucketTotals {
		cs.bucketTotals = make([]bucketTotals, len(q.days.Buckets))
	}
	return cs
}

// unitOf is the unit of a client; false for clients that are not looked at.
func (cs *clientStats) unitOf(client int64) (int32, bool) {
	if !cs.clients.has(client) {
		return 0, false
	}
	if u, known := cs.unitIndex.find(client); known || cs.closed {
		return u, known
	}
	u := cs.addUnit(client)
	cs.unitIndex.put(client, u)
	return u, true
}

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
	if cs.q.needs.rangeDays {
		for range cs.bucketWords {
			cs.bucketBits = append(cs.bucketBits, 0)
		}
	}
	if cs.q.needs.activeDays {
		cs.activeDays = append(cs.activeDays, daySet{})
	}
	return u
}

// checkMemory says when memory is used up.
func (cs *clientStats) checkMemory() error {
	if cs.bytesUsed() > cs.maxBytes && len(cs.units) > 1 {
		return ErrFull
	}
	return nil
}

// bytesUsed is what the facts take, in bytes.
func (cs *clientStats) bytesUsed() int64 {
	const unitBytes, utteranceBytes = 72, 24
	return cs.bytes + cs.unitIndex.bytes() + cs.eventCounts.bytes() + int64(cap(cs.units))*unitBytes +
		int64(cap(cs.current)+cap(cs.attributes))*utteranceBytes + int64(cap(cs.usages)+cap(cs.bucketBits))*8 + int64(cap(cs.activeDays))*32
}

// addClients adds rows of clients' lives.
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
			u.runtimeMS += b.RuntimeMS[i]
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

// has says that a client is one that facts are gathered of. Those who have
// sent no event are none.
func (cs *clientStats) has(client int64) bool {
	_, ok := cs.unitIndex.find(client)
	return ok
}

// addUserAttribute adds what product owners said of users.
func (cs *clientStats) addUserAttribute(t *UserAttribute) error {
	slot := slices.Index(cs.q.props.userAttributes, t.Name)
	at, ok := cs.unitIndex.find(t.Client)
	if slot < 0 || !ok {
		return nil
	}
	observed := observation{code: cs.codeOf(t.Value), time: t.Time, offset: t.Offset}
	cs.keepLater(&cs.attributes[int(at)*len(cs.q.props.userAttributes)+slot], observed)
	return cs.checkMemory()
}

// observe is what a property of a slot says, a clearing too.
func (cs *clientStats) observe(p *rollup.Property, slot int) observation {
	last := &cs.lastCode[slot]
	if cs.values[*last].raw != p.Value { // many clients say what the one before said
		*last = cs.codeOf(p.Value)
	}
	return observation{code: *last, day: cs.q.zone.Day(p.Time), time: p.Time, offset: p.Offset}
}

// codeOf numbers values, each once. Null is 0.
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

// keepLater makes have the later of the two.
func (cs *clientStats) keepLater(have *observation, other observation) {
	order := cmp.Or(cmp.Compare(other.time, have.time), cmp.Compare(other.offset, have.offset))
	if order == 0 {
		order = strings.Compare(cs.values[other.code].Text, cs.values[have.code].Text)
	}
	if order > 0 {
		*have = other
	}
}

// daysScan is the client days that are needed now that lives are known; false
// when none are.
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

// markHistory marks the clients of which a standard property was said after a
// moment at which its value is looked at, and says whether there are any.
func (cs *clientStats) markHistory() bool {
	if cs.q.asOf == asOfNow || !cs.q.readsDaily() {
		return false
	}
	found, end := false, cs.q.firstAsOf()
	for at := range cs.units {
		u := &cs.units[at]
		if cs.q.asOf == asOfInstall {
			end = cs.firstDay(int32(at)) + 1
		}
		for slot, standard := range cs.q.props.daily {
			if standard && cs.current[at*len(cs.q.props.daily)+slot].day >= end {
				u.changed, found = true, true
			}
		}
	}
	if found {
		cs.history = make([][]valueRun, len(cs.current))
	}
	return found
}

// addDays adds rows of clients' days.
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

// addInRange adds what clients did on days of the range.
func (cs *clientStats) addInRange(b *rollup.DayBatch, units []int32) {
	for i, at := range units {
		if at < 0 {
			continue
		}
		bucket, inside := cs.q.days.bucket(Day(b.Day[i]))
		if !inside {
			continue
		}
		cs.bucketBits[int(at)*cs.bucketWords+bucket/64] |= 1 << (bucket % 64)
		if cs.q.needs.daySums {
			cs.addSums(&cs.units[at], b, i, bucket)
		}
	}
}

func (cs *clientStats) addSums(u *unit, b *rollup.DayBatch, i, bucket int) {
	u.rangeSessions += b.Sessions[i]
	u.rangeRuntimeMS += b.RuntimeMS[i]
	if cs.q.needs.bucketTotals {
		cs.bucketTotals[bucket].add(b.Sessions[i], b.RuntimeMS[i])
	}
}

// addHistory adds what clients' days say of standard properties, as far as it is
// looked at.
func (cs *clientStats) addHistory(b *rollup.DayBatch, units []int32) error {
	for i, at := range units {
		if at < 0 || !cs.units[at].changed {
			continue
		}
		end := cs.q.days.To
		if cs.q.asOf == asOfInstall {
			end = cs.firstDay(at) + 1
		}
		if Day(b.Day[i]) >= end {
			continue
		}
		if err := cs.addDayValues(at, b.Properties[i]); err != nil {
			return err
		}
	}
	return nil
}

// addDayValues adds what one day says.
func (cs *clientStats) addDayValues(at int32, properties string) error {
	n := len(cs.daily.names)
	if err := rollup.FindProperties(properties, cs.daily.names, cs.found[:n]); err != nil {
		return err
	}
	runsOf := cs.history[int(at)*len(cs.q.props.reported):]
	for i := range n {
		p, slot := &cs.found[i], cs.daily.slots[i]
		if p.Name == "" {
			continue
		}
		runs, err := cs.addRun(runsOf[slot], cs.observe(p, slot), !cs.unmerged)
		if err != nil {
			return err
		}
		cs.bytes += int64(cap(runs)-cap(runsOf[slot])) * runBytes
		runsOf[slot] = runs
	}
	return nil
}

// dailySlots are the standard properties among those that are said.
type dailySlots struct {
	names []string
	slots []int
}

func dailySlotsOf(p *usedProperties) (s dailySlots) {
	for slot, standard := range p.daily {
		if standard {
			s.names, s.slots = append(s.names, p.reported[slot]), append(s.slots, slot)
		}
	}
	return s
}

// runBytes is the size of a valueRun.
const runBytes = 48

// addEvents adds rows of event days.
func (cs *clientStats) addEvents(b *rollup.EventBatch) error {
	rows := cs.eventIndex.bind(b)
	if cs.rows.workers > 0 && !cs.q.countsEvents() {
		for i, to := cs.rows.bounds(len(b.Day)); i < to; i++ {
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

// addEvent adds row i, of a client that is unborn where none is counted for.
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
	if cs.q.needs.rangeEvents && !inside {
		return
	}
	for _, n := range e.numbers {
		cs.eventCounts.add(at, n, b.Count[i])
	}
}

// bucketTotals is what all clients came to in one bucket.
type bucketTotals struct{ users, sessions, runtimeMS int64 }

func (t *bucketTotals) add(sessions, runtimeMS int64) {
	t.sessions += sessions
	t.runtimeMS += runtimeMS
}
