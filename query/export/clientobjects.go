package export

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"weir/schemas/columns"
	"weir/schemas/rollup"
	"weir/schemas/values"
)

const (
	maxPropertySets     = 4096    // different texts of $client that are cached in parsed form
	maxPropertySetBytes = 8 << 20 // of their texts
)

// clientObjects interns what events report of their clients. Names, values, objects
// (values by name) and shapes (sets of names) have numbers, so that equal ones of
// many clients are kept once and compared by number. Number 0 is the empty object,
// the empty shape and the value that is cleared.
//
// Clients of a product differ in few ways, so that the tables are small beside the
// clients; their memory is counted all the same.
type clientObjects struct {
	all     bool // every name is kept; otherwise those of clientKeys, whose numbers are their indexes there
	names   []string
	nameIDs map[string]int32

	values   []string // JSON
	valueIDs map[string]int32

	objects   []clientObject
	objectIDs map[string]int32 // by encoded pairs
	overlays  map[[2]int32]int32

	shapes   [][]int32 // ascending
	shapeIDs map[string]int32
	shapeOps map[shapeOp]int32

	boundedShapes map[int32]int32    // by shape: its bounded one
	restricted    map[[2]int32]int32 // by object and shape: the object's values of the shape

	propertySets     map[string]*propertySet
	propertySetBytes int
	byCode           []*propertySet // of the batch being read, by its dictionary codes; nil until it is read

	bytes int64 // an estimate of all but the cache of propertySets
}

// clientObject is values by name, ordered by name. A cleared property is one of
// them: it hides what was reported before.
type clientObject struct {
	pairs []namedValue
	shape int32
}

type namedValue struct{ name, value int32 }

// shapeOp is an operation on two shapes.
type shapeOp struct {
	op   byte // ∪, ∩ or −, as their ASCII stand-ins: '|', '&', '-'
	a, b int32
}

// propertySet is the properties that one text of $client reports.
type propertySet struct {
	shape  int32
	names  []int32  // ascending
	values []string // JSON, by index of names; null for cleared ones
	object int32    // −1 until it is interned
}

func newClientObjects(all bool) *clientObjects {
	o := &clientObjects{
		all: all, nameIDs: map[string]int32{}, values: []string{"null"}, valueIDs: map[string]int32{"null": 0},
		objects: []clientObject{{}}, objectIDs: map[string]int32{"": 0}, overlays: map[[2]int32]int32{},
		shapes: [][]int32{nil}, shapeIDs: map[string]int32{"": 0}, shapeOps: map[shapeOp]int32{}, propertySets: map[string]*propertySet{},
		boundedShapes: map[int32]int32{}, restricted: map[[2]int32]int32{},
	}
	if !all {
		for _, name := range clientKeys() {
			o.addName(name)
		}
	}
	return o
}

func (o *clientObjects) addName(name string) int32 {
	id := int32(len(o.names))
	o.names, o.nameIDs[name] = append(o.names, name), id
	o.bytes += 64 + int64(len(name))
	return id
}

// propertySetOf returns the properties that a text of $client reports. Texts
// repeat, within a batch and from one to the next, so most are parsed once.
func (o *clientObjects) propertySetOf(text string) *propertySet {
	if s, known := o.propertySets[text]; known {
		return s
	}
	if len(o.propertySets) >= maxPropertySets || o.propertySetBytes > maxPropertySetBytes {
		clear(o.propertySets)
		o.propertySetBytes = 0
	}
	own := strings.Clone(text) // text is only valid as long as its batch
	s := o.parse(own)
	o.propertySets[own] = s
	o.propertySetBytes += len(own)
	return s
}

// beginBatch begins a batch whose column of $client has codes values.
func (o *clientObjects) beginBatch(codes int) { o.byCode = make([]*propertySet, codes) }

// ownProperties returns what row i of the batch reports of its client; nil for nothing.
func (o *clientObjects) ownProperties(col *columns.Strings, i int) *propertySet {
	if col.Null(i) {
		return nil
	}
	code := col.Code(i)
	if code < 0 {
		return o.propertySetOf(col.At(i))
	}
	if o.byCode[code] == nil {
		o.byCode[code] = o.propertySetOf(col.DictionaryValue(code))
	}
	return o.byCode[code]
}

// parse keeps the names that exports read. A value that reports take for null is
// cleared.
func (o *clientObjects) parse(text string) *propertySet {
	s := &propertySet{object: -1}
	reported := map[int32]string{}
	for _, p := range rollup.ParseClientProperties(text) {
		name, known := o.nameIDs[p.Name]
		if !known {
			if !o.all {
				continue
			}
			name = o.addName(strings.Clone(p.Name))
		}
		if _, has := values.Text(p.Value); !has {
			p.Value = o.values[0]
		}
		s.names, reported[name] = append(s.names, name), p.Value
	}
	slices.Sort(s.names)
	s.names = slices.Compact(s.names)
	for _, name := range s.names {
		s.values = append(s.values, reported[name])
	}
	s.shape = o.shapeID(s.names)
	return s
}

// objectOf returns the number of s as an object.
func (o *clientObjects) objectOf(s *propertySet) int32 {
	if s.object >= 0 {
		return s.object
	}
	pairs := make([]namedValue, len(s.names))
	for i, name := range s.names {
		pairs[i] = namedValue{name, o.valueID(s.values[i])}
	}
	s.object = o.objectID(pairs)
	return s.object
}

func (o *clientObjects) valueID(value string) int32 {
	if id, known := o.valueIDs[value]; known {
		return id
	}
	own, id := strings.Clone(value), int32(len(o.values))
	o.values, o.valueIDs[own] = append(o.values, own), id
	o.bytes += 64 + int64(len(own))
	return id
}

// objectID interns pairs, which are ordered by name, and keeps them.
func (o *clientObjects) objectID(pairs []namedValue) int32 {
	key := make([]byte, 0, 512)
	for _, p := range pairs {
		key = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(key, uint32(p.name)), uint32(p.value))
	}
	if id, known := o.objectIDs[string(key)]; known {
		return id
	}
	names := make([]int32, len(pairs))
	for i, p := range pairs {
		names[i] = p.name
	}
	id := int32(len(o.objects))
	o.objects = append(o.objects, clientObject{pairs: pairs, shape: o.shapeID(names)})
	o.objectIDs[string(key)] = id
	o.bytes += 112 + 16*int64(len(pairs))
	return id
}

// overlay returns the object that has the values of above and, of other names,
// those of below.
func (o *clientObjects) overlay(below, above int32) int32 {
	if below == 0 || above == 0 || below == above {
		return cmp.Or(above, below)
	}
	key := [2]int32{below, above}
	if id, known := o.overlays[key]; known {
		return id
	}
	a, b := o.objects[below].pairs, o.objects[above].pairs
	merged := make([]namedValue, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].name < b[0].name:
			merged, a = append(merged, a[0]), a[1:]
		case a[0].name == b[0].name:
			merged, a, b = append(merged, b[0]), a[1:], b[1:]
		default:
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	id := o.objectID(append(append(merged, a...), b...))
	o.overlays[key] = id
	o.bytes += 48
	return id
}

// shapeID interns a set of names, which are ascending, and keeps them.
func (o *clientObjects) shapeID(names []int32) int32 {
	key := make([]byte, 0, 256)
	for _, name := range names {
		key = binary.LittleEndian.AppendUint32(key, uint32(name))
	}
	if id, known := o.shapeIDs[string(key)]; known {
		return id
	}
	id := int32(len(o.shapes))
	o.shapes, o.shapeIDs[string(key)] = append(o.shapes, names), id
	o.bytes += 80 + 8*int64(len(names))
	return id
}

// union, common and without are operations on sets of names.
func (o *clientObjects) union(a, b int32) int32 {
	if a == 0 || b == 0 || a == b {
		return cmp.Or(a, b)
	}
	return o.combine(shapeOp{'|', a, b})
}

func (o *clientObjects) common(a, b int32) int32 {
	if a == 0 || b == 0 || a == b {
		return min(a, b)
	}
	return o.combine(shapeOp{'&', a, b})
}

func (o *clientObjects) without(a, b int32) int32 {
	if a == 0 || a == b {
		return 0
	}
	if b == 0 {
		return a
	}
	return o.combine(shapeOp{'-', a, b})
}

// combine computes an operation once.
func (o *clientObjects) combine(op shapeOp) int32 {
	if id, known := o.shapeOps[op]; known {
		return id
	}
	a, b := o.shapes[op.a], o.shapes[op.b]
	var names []int32
	switch op.op {
	case '|':
		names = append(slices.Clone(a), b...)
		slices.Sort(names)
		names = slices.Compact(names)
	default:
		for _, name := range a {
			if _, in := slices.BinarySearch(b, name); in == (op.op == '&') {
				names = append(names, name)
			}
		}
	}
	id := o.shapeID(names)
	o.shapeOps[op] = id
	o.bytes += 48
	return id
}
