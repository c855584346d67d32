package report

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"weir/schemas/rollup"
)

// population gathers what a question has to know of each client.
type population struct {
	question *base
	index    map[int64]int32 // in clients
	clients  []client
	codes    map[string]int32 // of the JSON of values
	values   []Value          // by code
}

// client is what is known of one client.
type client struct {
	id              int64
	first, last     int64 // event times of its life; epoch milliseconds
	sessions        int64 // of its life, as of life
	runtimeMS       int64
	rangeSessions   int64 // of the range
	rangeRuntimeMS  int64
	now             []utterance // by slot
	past            [][]dated   // by slot; ascending; nil until something is added
	usage           []int64     // by slot; nil until something is added
	active          []uint64    // a bit for each bucket; nil without activity
	changedInBucket bool        // see needsPast
}

// utterance is the value that an event said.
type utterance struct {
	code         int32 // 0 is none
	time, offset int64
}

// dated is the last utterance of a bucket; of bucket −1, before the range.
type dated struct {
	bucket int32
	utterance
}

func newPopulation(q *base) population {
	return population{question: q, index: map[int64]int32{}, codes: map[string]int32{}, values: []Value{{Null: true}}}
}

func (p *population) client(id int64) *client {
	i, known := p.index[id]
	if !known {
		i = int32(len(p.clients))
		p.index[id] = i
		p.clients = append(p.clients, client{id: id, first: math.MaxInt64, last: math.MinInt64})
	}
	return &p.clients[i]
}

// AddClient adds a row of a client's life.
func (p *population) AddClient(row *rollup.Client) {
	c := p.client(row.Client)
	c.first, c.last = min(c.first, row.First), max(c.last, row.Last)
	c.sessions += row.Sessions
	c.runtimeMS += row.RuntimeMS
	names := p.question.props.said
	if c.now == nil && len(names) > 0 {
		c.now = make([]utterance, len(names))
	}
	for slot, name := range names {
		if u, ok := p.utterance(row.Properties, name); ok {
			p.later(&c.now[slot], u)
		}
	}
}

// AddDay adds a row of a client's day in the range.
func (p *population) AddDay(row *rollup.ClientDay) {
	bucket, inside := p.question.days.bucket(Day(row.Day))
	if !inside {
		return
	}
	c := p.client(row.Client)
	if c.active == nil {
		c.active = make([]uint64, (len(p.question.days.Buckets)+63)/64)
	}
	c.active[bucket/64] |= 1 << (bucket % 64)
	c.rangeSessions += row.Sessions
	c.rangeRuntimeMS += row.RuntimeMS
}

// NeedsPast says that some client's current value was said after the end of a
// bucket in which it may count: the client days up to the end of the range must
// be added with AddPast. It is known when all lives have been added.
func (p *population) NeedsPast() bool {
	some := false
	end := p.question.firstEnd()
	for i := range p.clients {
		c := &p.clients[i]
		for slot := range c.now {
			if p.question.standard(slot) && c.now[slot].time >= end {
				c.changedInBucket, some = true, true
			}
		}
	}
	return some
}

// AddPast adds what a client's day, before the range or in it, says of
// properties.
func (p *population) AddPast(row *rollup.ClientDay) {
	i, known := p.index[row.Client]
	if !known || !p.clients[i].changedInBucket || Day(row.Day) >= p.question.days.To {
		return
	}
	bucket, inside := p.question.days.bucket(Day(row.Day))
	if !inside {
		bucket = -1
	}
	c, names := &p.clients[i], p.question.props.said
	if c.past == nil {
		c.past = make([][]dated, len(names))
	}
	for slot, name := range names {
		if u, ok := p.utterance(row.Properties, name); ok && p.question.standard(slot) {
			c.past[slot] = p.remember(c.past[slot], dated{bucket: int32(bucket), utterance: u})
		}
	}
}

func (p *population) remember(past []dated, d dated) []dated {
	at, found := slices.BinarySearchFunc(past, d.bucket, func(have dated, bucket int32) int { return int(have.bucket) - int(bucket) })
	if !found {
		return slices.Insert(past, at, d)
	}
	p.later(&past[at].utterance, d.utterance)
	return past
}

// AddUsage adds how often a client sent an event, to the filters that count
// it.
func (p *population) AddUsage(row *rollup.EventDay) {
	usages := p.question.props.usages
	for slot := range usages {
		if !usages[slot].Has(row.Category, row.Name) {
			continue
		}
		c := p.client(row.Client)
		if c.usage == nil {
			c.usage = make([]int64, len(usages))
		}
		c.usage[slot] += row.Count
	}
}

// utterance finds what properties say of one, a clearing too.
func (p *population) utterance(all rollup.Properties, name string) (utterance, bool) {
	at, found := slices.BinarySearchFunc(all, name, func(p rollup.Property, name string) int { return strings.Compare(p.Name, name) })
	if !found {
		return utterance{}, false
	}
	return utterance{code: p.code(all[at].Value), time: all[at].Time, offset: all[at].Offset}, true
}

// code numbers values, each once. Null is 0.
func (p *population) code(raw string) int32 {
	if code, known := p.codes[raw]; known {
		return code
	}
	v := valueOf(raw)
	code := int32(0)
	if !v.Null {
		code = int32(len(p.values))
		v.Text, v.code = strings.Clone(v.Text), code
		p.values = append(p.values, v)
	}
	p.codes[strings.Clone(raw)] = code
	return code
}

// later makes have the later of the two.
func (p *population) later(have *utterance, other utterance) {
	switch {
	case other.time != have.time:
		if other.time > have.time {
			*have = other
		}
	case other.offset != have.offset:
		if other.offset > have.offset {
			*have = other
		}
	case p.values[other.code].Text > p.values[have.code].Text:
		*have = other
	}
}

// activeIn says that the client was active in a bucket.
func (c *client) activeIn(bucket int) bool {
	return c.active != nil && c.active[bucket/64]&(1<<(bucket%64)) != 0
}

// value is that of a property of c, by its index, at the end of a bucket.
func (p *population) value(c *client, property, bucket int) Value {
	q := &p.question.props.all[property]
	switch q.source {
	case clientID:
		return textValue(strconv.FormatInt(c.id, 10))
	case installed:
		return textValue(Day(rollup.Day(c.first)).String())
	case lastSeen:
		return textValue(Day(rollup.Day(c.last)).String())
	case sessions:
		return textValue(strconv.FormatInt(c.sessions, 10))
	case runtime:
		return textValue(strconv.FormatInt(c.runtimeMS/60_000, 10))
	case usage:
		if c.usage == nil {
			return textValue("0")
		}
		return textValue(strconv.FormatInt(c.usage[q.slot], 10))
	case said:
	}
	return p.values[p.saidCode(c, q, bucket)]
}

func (p *population) saidCode(c *client, q *property, bucket int) int32 {
	if c.now == nil {
		return 0
	}
	now := &c.now[q.slot]
	if !q.standard || now.time < p.question.days.Buckets[bucket].endMS() {
		return now.code
	}
	if c.past == nil {
		return 0
	}
	past := c.past[q.slot]
	for _, d := range slices.Backward(past) {
		if int(d.bucket) <= bucket {
			return d.code
		}
	}
	return 0
}
