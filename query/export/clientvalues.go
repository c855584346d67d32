package export

import (
	"cmp"
	"errors"
	"slices"

	"weir/schemas/rollup"
)

// errFull says that the clients of a pass need more memory than allowed. The
// pass is repeated in two halves.
var errFull = errors.New("more client values than fit one pass")

// stamp orders observations: by event time in epoch milliseconds, then by offset,
// as rollups do. A client is in one shard, so that its offsets compare.
type stamp struct{ time, offset int64 }

func (s stamp) compare(o stamp) int {
	return cmp.Or(cmp.Compare(s.time, o.time), cmp.Compare(s.offset, o.offset))
}

// observation is what an event reported of its client: the whole of its $client, or
// of a rollup those values of it that were the last. Once a pass is sealed, object
// is all that was known from then on.
type observation struct {
	stamp
	object int32
}

// rowClient is a client of the rows of a pass.
type rowClient struct {
	id           int64
	first, last  stamp // of its rows
	seen         int64 // its earliest event that is known; epoch milliseconds
	self         int32 // shape: the properties that each of its rows reports itself
	ever         int32 // shape: the properties that it reported at any time
	need         int32 // shape: ever without self; what observations are kept for
	later        int32 // shape: what is stored as reported at or after the first row, so that what was before it is not known by that
	over         bool  // ever is bounded: there were more properties
	reduceAt     int32 // number of observations at which reduce is tried
	observations []observation
}

// dayRows are the clients that have rows on a day, as long as they are few.
type dayRows struct {
	clients []int64 // repeated ones possible
	many    bool
}

// maxDayClients is how many clients of a day are listed, so that a scan for late
// events of few clients reads no more.
const maxDayClients = 1024

// Memory of a client, of an observation and of a day, with their places in
// slices and maps.
const (
	clientBytes      = 160
	observationBytes = 32
	dayRowsBytes     = 96
)

// clientValues knows for the clients of the rows of a pass the last value of each
// property at each row. It belongs to one goroutine.
type clientValues struct {
	part     clientRange
	objects  *clientObjects
	clients  []rowClient
	index    map[int64]int32 // in clients
	lastID   int64           // client of the last look-up, as rows of a client come in runs
	lastAt   int32
	days     map[int32]*dayRows
	bytes    int64
	maxBytes int64

	renders     map[renderKey]*rendered
	renderBytes int
}

func newClientValues(part clientRange, all bool, maxBytes int64) *clientValues {
	return newClientValuesOf(newClientObjects(all), part, maxBytes)
}

// newClientValuesOf returns values that share objects with others, of which one at a
// time is used. maxBytes counts objects in.
func newClientValuesOf(objects *clientObjects, part clientRange, maxBytes int64) *clientValues {
	return &clientValues{
		part: part, objects: objects, index: map[int64]int32{}, lastAt: -1,
		days: map[int32]*dayRows{}, maxBytes: maxBytes, renders: map[renderKey]*rendered{},
	}
}

// checkMemory returns errFull when the limit is exceeded.
func (v *clientValues) checkMemory() error {
	if len(v.clients) > 0 && v.bytes+v.objects.bytes > v.maxBytes {
		return errFull
	}
	return nil
}

// find returns a client, nil if no row of the pass is of it.
func (v *clientValues) find(id int64) *rowClient {
	if v.lastAt < 0 || id != v.lastID {
		at, known := v.index[id]
		if !known {
			return nil
		}
		v.lastID, v.lastAt = id, at
	}
	return &v.clients[v.lastAt]
}

// addRow adds a row of the pass. own is what it reports itself, nil for nothing.
func (v *clientValues) addRow(id int64, at stamp, own *propertySet) {
	shape := int32(0)
	if own != nil {
		shape = own.shape
	}
	c := v.find(id)
	if c == nil {
		v.index[id] = int32(len(v.clients))
		v.clients = append(v.clients, rowClient{id: id, first: at, last: at, seen: at.time, self: shape, reduceAt: 8})
		v.bytes += clientBytes
		c = v.find(id)
	}
	if at.compare(c.first) < 0 {
		c.first = at
	}
	if at.compare(c.last) > 0 {
		c.last = at
	}
	c.self = v.objects.common(c.self, shape)
	v.addDay(rollup.Day(at.time), id)
}

func (v *clientValues) addDay(day int32, id int64) {
	d := v.days[day]
	if d == nil {
		d = &dayRows{}
		v.days[day] = d
		v.bytes += dayRowsBytes
	}
	if n := len(d.clients); d.many || n > 0 && d.clients[n-1] == id {
		return
	}
	if len(d.clients) == maxDayClients {
		v.bytes -= 8 * maxDayClients
		d.clients, d.many = nil, true
		return
	}
	d.clients = append(d.clients, id)
	v.bytes += 8
}

// learnStored learns what a row of the rollup of clients has: values that were the last.
func (v *clientValues) learnStored(c *rowClient, at stamp, s *propertySet) {
	if at.compare(c.first) >= 0 {
		c.later = v.objects.union(c.later, s.shape)
	}
	v.learn(c, at, s)
}

// learn adds an observation of c from before it is known what is needed: one of
// the rollup of clients, or of the events that it lacks.
func (v *clientValues) learn(c *rowClient, at stamp, s *propertySet) {
	ever := v.objects.union(c.ever, s.shape)
	c.ever = v.objects.bounded(ever)
	c.over = c.over || c.ever != ever
	if v.objects.without(s.shape, c.self) != 0 {
		v.keep(c, at, s)
	}
}

// decideNeeds decides which properties are needed: none of a client whose rows all
// report each property that it ever reported. learn is not called any more.
func (v *clientValues) decideNeeds() {
	for i := range v.clients {
		c := &v.clients[i]
		if c.need = v.objects.without(c.ever, c.self); c.need == 0 {
			v.bytes -= observationBytes * int64(len(c.observations))
			c.observations = nil
		}
	}
}

// observe adds an observation of c that is needed.
func (v *clientValues) observe(c *rowClient, at stamp, s *propertySet) {
	if v.objects.common(s.shape, c.need) != 0 {
		v.keep(c, at, s)
	}
}

// keep adds an observation, unless it is later than every row. The order in which
// observations come does not matter, and neither does one that comes twice: each is
// true, and later ones count.
func (v *clientValues) keep(c *rowClient, at stamp, s *propertySet) {
	if at.compare(c.last) > 0 {
		return
	}
	object := v.objects.objectOf(s)
	if c.over {
		object = v.objects.restrict(object, c.ever)
	}
	c.observations = append(c.observations, observation{at, object})
	v.bytes += observationBytes
	if len(c.observations) >= int(c.reduceAt) {
		v.reduce(c)
		c.reduceAt = max(c.reduceAt, 2*int32(len(c.observations)))
	}
}

// reduce orders the observations of c and drops those without effect: one that came
// twice, and of those before the first row one whose properties were all reported
// again before that row.
func (v *clientValues) reduce(c *rowClient) {
	slices.SortFunc(c.observations, func(a, b observation) int {
		return cmp.Or(a.compare(b.stamp), cmp.Compare(a.object, b.object))
	})
	before := len(c.observations)
	c.observations = slices.Compact(c.observations)
	base, _ := slices.BinarySearchFunc(c.observations, c.first, func(o observation, at stamp) int { return o.compare(at) })
	shape, kept := int32(0), base
	for i := base - 1; i >= 0; i-- {
		own := v.objects.objects[c.observations[i].object].shape
		if v.objects.without(own, shape) == 0 {
			continue
		}
		shape = v.objects.union(shape, own)
		kept--
		c.observations[kept] = c.observations[i]
	}
	c.observations = c.observations[:copy(c.observations, c.observations[kept:])]
	v.bytes -= observationBytes * int64(before-len(c.observations))
}

// missing returns the shape of the properties that c needs and whose value before its
// first row is not known. All observations since the day from are known, and all that
// the rollups lack. An older one is the last before the row only if the rollup of
// clients, which names the last ones, has none of its properties at or after the row.
func (v *clientValues) missing(c *rowClient, from int32) int32 {
	left := c.need
	for i := 0; i < len(c.observations) && left != 0; i++ {
		o := &c.observations[i]
		if o.compare(c.first) >= 0 {
			continue
		}
		found := v.objects.objects[o.object].shape
		if rollup.Day(o.time) < from {
			found = v.objects.without(found, c.later)
		}
		left = v.objects.without(left, found)
	}
	return left
}

// seal turns the observations of each client into what was known from each of them
// on. Afterwards values can be read, and nothing is added.
func (v *clientValues) seal() error {
	for i := range v.clients {
		c := &v.clients[i]
		v.reduce(c)
		state, known := int32(0), c.observations[:0]
		for _, o := range c.observations {
			if c.over {
				o.object = v.objects.restrict(o.object, c.ever)
			}
			next := v.objects.overlay(state, o.object)
			if next == state {
				continue
			}
			state = next
			if n := len(known); n > 0 && known[n-1].compare(c.first) < 0 && o.compare(c.first) < 0 {
				known = known[:0] // no row is between the two
			}
			known = append(known, observation{o.stamp, state})
		}
		v.bytes -= observationBytes * int64(len(c.observations)-len(known))
		c.observations = known
		if err := v.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// stateAt returns the object of all that was known of a client at a row; what the row
// reports itself may be missing.
func (v *clientValues) stateAt(id int64, at stamp) int32 {
	c := v.find(id)
	if c == nil {
		return 0
	}
	n, exact := slices.BinarySearchFunc(c.observations, at, func(o observation, at stamp) int { return o.compare(at) })
	if exact {
		n++
	}
	if n == 0 {
		return 0
	}
	return c.observations[n-1].object
}
