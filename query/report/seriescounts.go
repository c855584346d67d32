package report

import (
	"context"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"weir/query/cost"
)

// seriesCounts are the counts of clients in the series of all levels, by bucket
// and status. Each series that is counted has an id, and each bucket and status
// a row of counts by id: series that the question names have ids in sequence, so
// that a client that is in all of them is counted in consecutive places.
type seriesCounts struct {
	levels  []level
	budget  *cost.Question
	numbers int             // of the answer, of each series
	nodes   []countedSeries // by id; a series comes after the one that it is in
	rows    [][]int64       // of a bucket b and a status s at b*statuses+s; counts that are missing at the end are 0
	charged int64           // series that budget knows
	added   int             // counts that were added since the context was looked at
}

// countedSeries is a series within another one; the first is the root.
type countedSeries struct {
	in     int32           // id of the series that it is in; −1 is none
	number int32           // of its key in the level
	named  int32           // id of the first of the series that the next level names; 0 is none
	others map[int32]int32 // ids of further series within it, by number
	known  bool            // to budget
}

// newSeriesCounts returns counts that are all 0. numbers is how many the answer has
// of each series.
func newSeriesCounts(q *base, levels []level, numbers int) *seriesCounts {
	return &seriesCounts{
		levels: levels, budget: q.params.Cost, numbers: numbers, nodes: []countedSeries{{in: -1, known: true}},
		rows: make([][]int64, len(q.days.Buckets)*int(statuses)),
	}
}

// row returns a row with a count for each series that has an id.
func (t *seriesCounts) row(at int) []int64 {
	row := t.rows[at]
	if missing := len(t.nodes) - len(row); missing > 0 {
		row = append(row, make([]int64, missing)...)
		t.rows[at] = row
	}
	return row
}

// full reports whether there are more series than the answer may have, so that
// it makes no sense to go on.
func (t *seriesCounts) full() bool { return t.charged > t.budget.Limits().Series }

// child returns the id of a series of the next level within another one, and
// adds it if it is new. Series that the question names are added all at once,
// unless there are many because the level above is split.
func (t *seriesCounts) child(of int32, depth int, number int32) int32 {
	l, parent := &t.levels[depth], &t.nodes[of]
	named := int32(l.named)
	if parent.named == 0 && number < named && int64(len(t.nodes)+l.named) <= 2*t.budget.Limits().Series {
		parent.named = int32(len(t.nodes))
		for n := range named {
			t.nodes = append(t.nodes, countedSeries{in: of, number: n})
		}
		parent = &t.nodes[of]
	}
	if parent.named != 0 && number < named {
		return parent.named + number
	}
	id, known := parent.others[number]
	if !known {
		if parent.others == nil {
			parent.others = map[int32]int32{}
		}
		id = int32(len(t.nodes))
		parent.others[number] = id
		t.nodes = append(t.nodes, countedSeries{in: of, number: number})
	}
	return id
}

// charge tells budget of a series in which the first client is counted.
func (t *seriesCounts) charge(id int32, depth int) {
	n := &t.nodes[id]
	if n.known {
		return
	}
	n.known = true
	t.charged++
	l := &t.levels[depth]
	t.budget.AddSeries(l.field, l.keys.all[n.number].label, t.numbers)
}

// seriesBits are the units of a group that are in a series.
type seriesBits struct {
	number int32 // of its key in the level
	units  uint64
}

// unitGroup is up to 64 units that are counted together, as a bit for each: in
// each series of each level, and in each bucket by status. A series has so many
// more of them in a bucket as there are bits in both. That takes as long for 64
// units that overlapping segments all have as for one.
type unitGroup struct {
	units   int
	in      [maxLevels][]seriesBits // of the levels
	at      [maxLevels][]int32      // 1 + index in in, by number of a key
	is      [][statuses]uint64      // by bucket
	buckets []int32                 // those with a unit
}

// series puts the next unit in the series of a level.
func (g *unitGroup) series(depth int, keys []seriesKey) {
	for i := range keys {
		n := keys[i].number
		if missing := int(n) + 1 - len(g.at[depth]); missing > 0 {
			g.at[depth] = append(g.at[depth], make([]int32, missing)...)
		}
		if g.at[depth][n] == 0 {
			g.in[depth] = append(g.in[depth], seriesBits{number: n})
			g.at[depth][n] = int32(len(g.in[depth]))
		}
		g.in[depth][g.at[depth][n]-1].units |= 1 << g.units
	}
}

// mark says that the next unit has a status in a bucket.
func (g *unitGroup) mark(bucket int, s status) {
	if g.is[bucket] == [statuses]uint64{} {
		g.buckets = append(g.buckets, int32(bucket))
	}
	g.is[bucket][s] |= 1 << g.units
}

// reset empties the group.
func (g *unitGroup) reset() {
	for depth := range g.in {
		for i := range g.in[depth] {
			g.at[depth][g.in[depth][i].number] = 0
		}
		g.in[depth] = g.in[depth][:0]
	}
	for _, bucket := range g.buckets {
		g.is[bucket] = [statuses]uint64{}
	}
	g.units, g.buckets = 0, g.buckets[:0]
}

// addGroup counts the units of a group and empties it; it counts less if ctx ends.
func (t *seriesCounts) addGroup(ctx context.Context, g *unitGroup) {
	for _, bucket := range g.buckets {
		for s, units := range g.is[bucket] {
			if units == 0 {
				continue
			}
			at := int(bucket)*int(statuses) + s
			t.row(at)[0] += int64(bits.OnesCount64(units))
			t.addWithin(at, 0, 0, units, g)
		}
		if t.due() && ctx.Err() != nil {
			break
		}
	}
	g.reset()
}

// addWithin counts units of a series in the series of the next levels within it.
func (t *seriesCounts) addWithin(at int, of int32, depth int, units uint64, g *unitGroup) {
	if depth == len(t.levels) {
		return
	}
	row, first, named := t.row(at), t.nodes[of].named, int32(t.levels[depth].named)
	t.added += len(g.in[depth])
	for i := range g.in[depth] {
		in := &g.in[depth][i]
		both := units & in.units
		if both == 0 {
			continue
		}
		id := first + in.number
		if first == 0 || in.number >= named {
			id = t.child(of, depth, in.number)
			row, first = t.row(at), t.nodes[of].named
		}
		if row[id] == 0 {
			t.charge(id, depth)
		}
		row[id] += int64(bits.OnesCount64(both))
		if depth+1 < len(t.levels) {
			if t.full() {
				return
			}
			t.addWithin(at, id, depth+1, both, g)
			row = t.row(at)
		}
	}
}

// addUnit counts one unit of a question with one level or none in a bucket.
func (t *seriesCounts) addUnit(bucket int, s status, keys []seriesKey) {
	at := bucket*int(statuses) + int(s)
	row, first := t.row(at), t.nodes[0].named
	row[0]++
	t.added += 1 + len(keys)
	for i := range keys {
		number := keys[i].number
		id := first + number
		if first == 0 || int(number) >= t.levels[0].named {
			id = t.child(0, 0, number)
			row, first = t.row(at), t.nodes[0].named
		}
		if row[id] == 0 {
			t.charge(id, 0)
		}
		row[id]++
	}
}

// addsPerCheck is how many counts are added between two looks at the context.
const addsPerCheck = 1 << 16

// due reports whether it is time to look at the context.
func (t *seriesCounts) due() bool {
	if t.added < addsPerCheck {
		return false
	}
	t.added = 0
	return true
}

// count returns a count of a series.
func (t *seriesCounts) count(id int32, bucket int, s status) int64 {
	row := t.rows[bucket*int(statuses)+int(s)]
	if int(id) >= len(row) {
		return 0
	}
	return row[id]
}

// tree returns the root of all series in which a client was counted, or of some if p
// stops. Keys of one label are one series.
func (t *seriesCounts) tree(p *pace) *seriesNode {
	sums := make([]int64, len(t.nodes))
	for _, row := range t.rows {
		if p.stop(1 + len(row)/16) {
			break
		}
		for id, count := range row {
			sums[id] += count
		}
	}
	root := &seriesNode{ids: []int32{0}, sum: sums[0]}
	made, depths := make([]*seriesNode, len(t.nodes)), make([]int8, len(t.nodes))
	made[0] = root
	for id := 1; id < len(t.nodes) && !p.stop(1); id++ {
		n := &t.nodes[id]
		depths[id] = depths[n.in] + 1
		if sums[id] == 0 {
			continue
		}
		node := made[n.in].child(t.levels[depths[n.in]].keys.all[n.number])
		node.ids, node.sum = append(node.ids, int32(id)), node.sum+sums[id]
		made[id] = node
	}
	return root
}

// seriesNode is one series of the answer, and the series of the next level
// within it.
type seriesNode struct {
	seriesKey

	ids      []int32 // in seriesCounts; none for a series that is shown without a client
	sum      int64   // of all its counts
	children map[string]*seriesNode
	labels   []string // of the children, sorted; nil until they are asked for
}

// sortedLabels returns the labels of the series within n, in any order if p stops.
func (n *seriesNode) sortedLabels(p *pace) []string {
	if n.labels == nil {
		n.labels = slices.Collect(maps.Keys(n.children))
		sortAtPace(p, n.labels, strings.Compare)
	}
	return n.labels
}

// child returns the series within n that a key of a level names, and adds it if
// it is new.
func (n *seriesNode) child(in seriesKey) *seriesNode {
	if have := n.children[in.label]; have != nil {
		have.segment = min(have.segment, in.segment)
		return have
	}
	if n.children == nil {
		n.children = map[string]*seriesNode{}
	}
	made := &seriesNode{seriesKey: in}
	n.children[in.label] = made
	return made
}
