package report

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"weir/schemas/rollup"
)

// errFull says that a pass has more clients than memory allows.
var errFull = errors.New("more clients than fit one pass")

// facts are what a question has to know of each client of a pass. Clients that
// are counted as one, by groupBy, are one unit.
type facts struct {
	q     *base
	part  part  // which clients this pass is about
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
	counts   pairs             // (unit, number of an event) → occurrences
	bytes    int64             // of what slices here point to
	saidLast []saidValue       // by slot
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

func newFacts(q *base, p part, groups *grouping) *facts {
	f := &facts{
		q: q, part: p, most: q.given.Bytes, words: (len(q.days.Buckets) + 63) / 64,
		codes: map[string]int32{}, values: []Value{{Null: true}}, byCode: map[int32]int32{},
		held: make([][]int8, q.props.conditions), series: make([][][]inSegment, q.props.levels),
		events: newEventIndex(q), saidLast: make([]saidValue, len(q.props.said)),
		found: make([]rollup.Property, len(q.props.said)), standard: standardOf(&q.props),
	}
	if q.needs.buckets {
		f.sums = make([]bucketTally, len(q.days.Buckets))
	}
	if groups != nil {
		f.index, f.fixed = groups.index, true
		for range groups.units {
			f.grow(0)
		}
	}
	return f
}

// of is the unit of a client; false for clients that are not looked at.
func (f *facts) of(client int64) (int32, bool) {
	if u, known := f.index.find(client); known {
		return u, u >= 0
	}
	if f.fixed || !f.part.has(client) {
		return 0, false
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
	const unitBytes, utteranceBytes = 72, 24
	size := f.bytes + f.index.bytes() + f.counts.bytes() + int64(cap(f.units))*unitBytes +
		int64(cap(f.now)+cap(f.told))*utteranceBytes + int64(cap(f.usage)+cap(f.days))*8 + int64(cap(f.life))*32
	if size > f.most && len(f.units) > 1 {
		return errFull
	}
	return nil
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
		u.sessions += b.Sessions[i]
		u.runtimeMS += b.RuntimeMS[i]
		if len(f.q.props.said) == 0 {
			continue
		}
		if err := rollup.FindEach(b.Properties[i], f.q.props.said, f.found); err != nil {
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
	if slot < 0 || !ok || at < 0 {
		return nil
	}
	said := utterance{code: f.code(t.Value), time: t.Time, offset: t.Offset}
	f.later(&f.told[int(at)*len(f.q.props.told)+slot], said)
	return f.full()
}

// said is what a property of a slot says, a clearing too.
func (f *facts) said(p *rollup.Property, slot int) utterance {
	before := &f.saidLast[slot]
	if before.raw != p.Value { // most clients say what the one before said
		before.raw, before.code = strings.Clone(p.Value), f.code(p.Value)
	}
	return utterance{code: before.code, day: f.q.zone.Day(p.Time), time: p.Time, offset: p.Offset}
}

// saidValue is a value and its code.
type saidValue struct {
	raw  string
	code int32
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
	for _, f := range lanes {
		s.Properties = f.needPast() || s.Properties
	}
	switch {
	case s.Properties && q.moment == atInstall:
		s.From, s.To = min(s.From, q.days.From), max(s.To, q.days.To)
	case s.Properties:
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
	q := f.q
	for i, client := range b.Client {
		at, ok := f.of(client)
		if !ok {
			continue
		}
		day := Day(b.Day[i])
		if q.needs.inRange {
			if bucket, inside := q.days.bucket(day); inside {
				f.days[int(at)*f.words+bucket/64] |= 1 << (bucket % 64)
				f.units[at].rangeSessions += b.Sessions[i]
				f.units[at].rangeRuntimeMS += b.RuntimeMS[i]
				if q.needs.buckets {
					f.sums[bucket].add(b.Sessions[i], b.RuntimeMS[i])
				}
			}
		}
		if q.needs.lifeDays {
			f.bytes += f.life[at].add(day)
		}
		if f.past != nil && f.units[at].changed && day < q.days.To {
			if err := f.addPast(at, b.Properties[i]); err != nil {
				return err
			}
		}
	}
	return f.full()
}

// addPast adds what a client's day says of standard properties.
func (f *facts) addPast(at int32, properties string) error {
	n := len(f.standard.names)
	if err := rollup.FindEach(properties, f.standard.names, f.found[:n]); err != nil {
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

func standardOf(p *properties) (s standardSlots) {
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
	for i, client := range b.Client {
		e := &f.events.all[rows.at(i)]
		bucket, inside := f.q.days.bucket(Day(b.Day[i]))
		if e.tallies != nil && inside && f.part.has(client) {
			e.tallies[bucket].add(&eventTally{count: b.Count[i], valueSum: b.ValueSum[i], valueCount: b.ValueCount[i]})
		}
		if len(e.usages) == 0 && (len(e.numbers) == 0 || f.q.needs.inEvents && !inside) {
			continue
		}
		at, ok := f.of(client)
		if !ok {
			continue
		}
		for _, slot := range e.usages {
			f.usage[int(at)*len(f.q.props.usages)+int(slot)] += b.Count[i]
		}
		if f.q.needs.inEvents && !inside {
			continue
		}
		for _, n := range e.numbers {
			f.counts.add(at, n, b.Count[i])
		}
	}
	return f.full()
}

// bucketTally is what all clients came to in one bucket.
type bucketTally struct{ users, sessions, runtimeMS int64 }

func (t *bucketTally) add(sessions, runtimeMS int64) {
	t.sessions += sessions
	t.runtimeMS += runtimeMS
}
