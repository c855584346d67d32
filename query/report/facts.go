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

// facts are what a question has to know of each client of a pass. Clients that
// are counted as one, by groupBy, are one unit.
type facts struct {
	q     *base
	part  part  // which clients these facts are about
	share share // of rows whose client does not matter
	most  int64 // bytes that it may take
	index index // client id → unit
	fixed bool  // no other clients than those in index

	units []unit
	now   []utterance // by unit and slot of what is said
	told  []utterance // by unit and slot of what is told
	past  [][]pastRun // by unit and slot of what is said; nil until something is added
	apart bool        // past has every utterance by itself
	usage []int64     // by unit and slot of usages
	days  []uint64    // by unit and word: a bit for each bucket of the range with activity
	words int
	life  []daySet      // by unit
	sums  []bucketTally // by bucket; of clients of the part

	events   eventIndex
	counts   pairs // (unit, number of an event) → occurrences
	bytes    int64 // of what slices here point to
	coded    codedUnits
	saidLast []int32           // code by slot
	found    []rollup.Property // scratch: of a row
	standard standardSlots
	codes    map[string]int32
	values   []Value         // by code; 0 is null
	byCode   map[int32]int32 // country code → continent code
	held     [][]int8        // by condition and code: 0 is not known, 1 holds, 2 does not
	series   [][][]inSegment // by level and code
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

// utterance is the value that an event said.
type utterance struct {
	code         int32 // 0 is none
	day          Day
	time, offset int64
}

const neverSaid = math.MinInt64

func newFacts(q *base, p part) *facts {
	f := &facts{
		q: q, part: p, most: q.given.Bytes, words: (len(q.days.Buckets) + 63) / 64,
		codes: map[string]int32{}, values: []Value{{Null: true}}, byCode: map[int32]int32{},
		held: make([][]int8, q.props.conditions), series: make([][][]inSegment, q.props.levels),
		events: newEventIndex(q), saidLast: make([]int32, len(q.props.said)),
		found: make([]rollup.Property, len(q.props.said)), standard: standardOf(&q.props),
	}
	if q.needs.buckets {
		f.sums = make([]bucketTally, len(q.days.Buckets))
	}
	return f
}

// of is the unit of a client; false for clients that are not looked at.
func (f *facts) of(client int64) (int32, bool) {
	if !f.part.has(client) {
		return 0, false
	}
	if u, known := f.index.find(client); known || f.fixed {
		return u, known
	}
	u := f.grow(client)
	f.index.put(client, u)
	return u, true
}

func (f *facts) grow(id int64) int32 {
	u := int32(len(f.units))
	f.units = append(f.units, unit{id: id, first: math.MaxInt64, last: math.MinInt64})
	for range f.q.props.said {
		f.now = append(f.now, utterance{time: neverSaid, day: minDay})
	}
	for range f.q.props.told {
		f.told = append(f.told, utterance{time: neverSaid, day: minDay})
	}
	for range f.q.props.usages {
		f.usage = append(f.usage, 0)
	}
	if f.q.needs.inRange {
		for range f.words {
			f.days = append(f.days, 0)
		}
	}
	if f.q.needs.lifeDays {
		f.life = append(f.life, daySet{})
	}
	return u
}

// full says when memory is used up.
func (f *facts) full() error {
	if f.size() > f.most && len(f.units) > 1 {
		return ErrFull
	}
	return nil
}

// size is what the facts take, in bytes.
func (f *facts) size() int64 {
	const unitBytes, utteranceBytes = 72, 24
	return f.bytes + f.index.bytes() + f.counts.bytes() + int64(cap(f.units))*unitBytes +
		int64(cap(f.now)+cap(f.told))*utteranceBytes + int64(cap(f.usage)+cap(f.days))*8 + int64(cap(f.life))*32
}

// addClients adds rows of clients' lives.
func (f *facts) addClients(b *rollup.ClientBatch) error {
	for i, client := range b.Client {
		at, ok := f.of(client)
		if !ok {
			continue
		}
		u := &f.units[at]
		u.first, u.last = min(u.first, b.First[i]), max(u.last, b.Last[i])
		if b.Sessions != nil {
			u.sessions += b.Sessions[i]
			u.runtimeMS += b.RuntimeMS[i]
		}
		if len(f.q.props.said) == 0 {
			continue
		}
		if err := rollup.FindProperties(b.Properties[i], f.q.props.said, f.found); err != nil {
			return err
		}
		now := f.now[int(at)*len(f.q.props.said):]
		for slot := range f.found {
			if p := &f.found[slot]; p.Name != "" {
				f.later(&now[slot], f.said(p, slot))
			}
		}
	}
	return f.full()
}

// knows says that a client is one that facts are gathered of. Those who have
// sent no event are none.
func (f *facts) knows(client int64) bool {
	_, ok := f.index.find(client)
	return ok
}

// addTold adds what product owners said of users.
func (f *facts) addTold(t *Told) error {
	slot := slices.Index(f.q.props.told, t.Name)
	at, ok := f.index.find(t.Client)
	if slot < 0 || !ok {
		return nil
	}
	said := utterance{code: f.code(t.Value), time: t.Time, offset: t.Offset}
	f.later(&f.told[int(at)*len(f.q.props.told)+slot], said)
	return f.full()
}

// said is what a property of a slot says, a clearing too.
func (f *facts) said(p *rollup.Property, slot int) utterance {
	last := &f.saidLast[slot]
	if f.values[*last].raw != p.Value { // many clients say what the one before said
		*last = f.code(p.Value)
	}
	return utterance{code: *last, day: f.q.zone.Day(p.Time), time: p.Time, offset: p.Offset}
}

// code numbers values, each once. Null is 0.
func (f *facts) code(raw string) int32 {
	if code, known := f.codes[raw]; known {
		return code
	}
	own := strings.Clone(raw)
	v := valueOf(own)
	code := int32(0)
	if !v.Null {
		code = int32(len(f.values))
		f.values = append(f.values, v)
	}
	f.codes[own] = code
	f.bytes += int64(2*len(raw)) + 96
	return code
}

// later makes have the later of the two.
func (f *facts) later(have *utterance, other utterance) {
	order := cmp.Or(cmp.Compare(other.time, have.time), cmp.Compare(other.offset, have.offset))
	if order == 0 {
		order = strings.Compare(f.values[other.code].Text, f.values[have.code].Text)
	}
	if order > 0 {
		*have = other
	}
}

// daysScan is the client days that are needed now that lives are known; false
// when none are.
func daysScan(lanes []*facts) (Scan, bool) {
	q := lanes[0].q
	s := Scan{From: maxDay, To: minDay, Clients: q.clients}
	if q.needs.inRange {
		s.From, s.To = q.days.From, q.days.To
	}
	if q.needs.lifeDays {
		s.From, s.To = minDay, maxDay
	}
	if q.needs.sums {
		s.Wants |= rollup.WantSums
	}
	for _, f := range lanes {
		if f.needPast() {
			s.Wants |= rollup.WantProperties
		}
	}
	switch past := s.Wants&rollup.WantProperties != 0; {
	case past && q.moment == atInstall:
		s.From, s.To = min(s.From, q.days.From), max(s.To, q.days.To)
	case past:
		s.From, s.To = minDay, max(s.To, q.days.To)
	}
	return s, s.From < s.To
}

// needPast marks the clients of which a standard property was said after a
// moment at which its value is looked at, and says whether there are any.
func (f *facts) needPast() bool {
	if f.q.moment == latest || !f.q.standardSaid() {
		return false
	}
	some, end := false, f.q.firstMoment()
	for at := range f.units {
		u := &f.units[at]
		if f.q.moment == atInstall {
			end = f.installed(int32(at)) + 1
		}
		for slot, standard := range f.q.props.standard {
			if standard && f.now[at*len(f.q.props.standard)+slot].day >= end {
				u.changed, some = true, true
			}
		}
	}
	if some {
		f.past = make([][]pastRun, len(f.now))
	}
	return some
}

// addDays adds rows of clients' days.
func (f *facts) addDays(b *rollup.DayBatch) error {
	units := f.unitsOf(&b.Client, true)
	if f.q.needs.inRange {
		f.addInRange(b, units)
	}
	if f.q.needs.lifeDays {
		for i, at := range units {
			if at >= 0 {
				f.bytes += f.life[at].add(Day(b.Day[i]))
			}
		}
	}
	if f.past != nil {
		if err := f.addPast(b, units); err != nil {
			return err
		}
	}
	return f.full()
}

// addInRange adds what clients did on days of the range.
func (f *facts) addInRange(b *rollup.DayBatch, units []int32) {
	for i, at := range units {
		if at < 0 {
			continue
		}
		bucket, inside := f.q.days.bucket(Day(b.Day[i]))
		if !inside {
			continue
		}
		f.days[int(at)*f.words+bucket/64] |= 1 << (bucket % 64)
		if f.q.needs.sums {
			f.addSums(&f.units[at], b, i, bucket)
		}
	}
}

func (f *facts) addSums(u *unit, b *rollup.DayBatch, i, bucket int) {
	u.rangeSessions += b.Sessions[i]
	u.rangeRuntimeMS += b.RuntimeMS[i]
	if f.q.needs.buckets {
		f.sums[bucket].add(b.Sessions[i], b.RuntimeMS[i])
	}
}

// addPast adds what clients' days say of standard properties, as far as it is
// looked at.
func (f *facts) addPast(b *rollup.DayBatch, units []int32) error {
	for i, at := range units {
		if at < 0 || !f.units[at].changed {
			continue
		}
		end := f.q.days.To
		if f.q.moment == atInstall {
			end = f.installed(at) + 1
		}
		if Day(b.Day[i]) >= end {
			continue
		}
		if err := f.addSaid(at, b.Properties[i]); err != nil {
			return err
		}
	}
	return nil
}

// addSaid adds what one day says.
func (f *facts) addSaid(at int32, properties string) error {
	n := len(f.standard.names)
	if err := rollup.FindProperties(properties, f.standard.names, f.found[:n]); err != nil {
		return err
	}
	of := f.past[int(at)*len(f.q.props.said):]
	for i := range n {
		p, slot := &f.found[i], f.standard.slots[i]
		if p.Name == "" {
			continue
		}
		past, err := f.remember(of[slot], f.said(p, slot), !f.apart)
		if err != nil {
			return err
		}
		f.bytes += int64(cap(past)-cap(of[slot])) * runBytes
		of[slot] = past
	}
	return nil
}

// standardSlots are the standard properties among those that are said.
type standardSlots struct {
	names []string
	slots []int
}

func standardOf(p *usedProperties) (s standardSlots) {
	for slot, standard := range p.standard {
		if standard {
			s.names, s.slots = append(s.names, p.said[slot]), append(s.slots, slot)
		}
	}
	return s
}

// runBytes is the size of a pastRun.
const runBytes = 48

// addEvents adds rows of event days.
func (f *facts) addEvents(b *rollup.EventBatch) error {
	rows := f.events.bind(b)
	if f.share.lanes > 0 && !f.q.countsEvents() {
		for i, to := f.share.of(len(b.Day)); i < to; i++ {
			f.addEvent(&f.events.all[rows.at(i)], unborn, b, i)
		}
		return f.full()
	}
	for i, at := range f.unitsOf(&b.Client, f.q.countsEvents()) {
		if at != foreign {
			f.addEvent(&f.events.all[rows.at(i)], at, b, i)
		}
	}
	return f.full()
}

// addEvent adds row i, of a client that is unborn where none is counted for.
func (f *facts) addEvent(e *oneEvent, at int32, b *rollup.EventBatch, i int) {
	if e.tallies == nil && e.usages == nil && e.numbers == nil {
		return
	}
	bucket, inside := f.q.days.bucket(Day(b.Day[i]))
	if e.tallies != nil && inside {
		e.tallies[bucket].addRow(b, i)
	}
	for _, slot := range e.usages {
		f.usage[int(at)*len(f.q.props.usages)+int(slot)] += b.Count[i]
	}
	if f.q.needs.inEvents && !inside {
		return
	}
	for _, n := range e.numbers {
		f.counts.add(at, n, b.Count[i])
	}
}

// bucketTally is what all clients came to in one bucket.
type bucketTally struct{ users, sessions, runtimeMS int64 }

func (t *bucketTally) add(sessions, runtimeMS int64) {
	t.sessions += sessions
	t.runtimeMS += runtimeMS
}
