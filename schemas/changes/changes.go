// Package changes computes the properties and contacts of clients from their
// changes, applied in the order of the log. It is pure arithmetic, accepts changes
// in any order, and keeps only those that a later one may still depend on.
//
// Effect of each operation on one property; contacts have only set:
//
//	set        overwrites the value, also one of another type; "" clears a contact
//	increase   adds a number to a number, exactly; a missing value counts as 0
//	add        appends the strings that a list of strings lacks, as long as it has room: see MaxListMembers;
//	           a missing value counts as an empty list
//	remove     removes all equal strings from a list of strings, which may become empty
//	delete     removes the property
//
// An operation that does not fit the value, such as an increase of a string, has no
// effect, and neither has a malformed change.
package changes

import (
	"cmp"
	"iter"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// Client holds the properties and contacts of one client by name.
type Client struct {
	Properties map[string]Value // strings, numbers, booleans and lists of strings; nil when there are none
	Contacts   map[string]Value // strings that are not empty; personal data
}

// Value is the value of one property or contact.
type Value struct {
	JSON   jsontext.Value // compact
	Time   int64          // when the edge accepted its latest change; epoch milliseconds
	Offset int64          // offset of that change in its shard
}

// Set holds the changes of the clients of one product. The zero value is empty. It
// belongs to one goroutine.
type Set struct {
	Keep func(kind schemas.ChangeKind, propertyKey string) bool // selects the names to keep; nil keeps all

	clients map[int64]map[propertyKey]*history
	bytes   int64
}

// Len returns the number of clients that have changes.
func (s *Set) Len() int { return len(s.clients) }

// Bytes estimates the memory of the set.
func (s *Set) Bytes() int64 { return s.bytes }

// Approximate memory of a client, a name and a step without their text.
const (
	clientBytes = 400
	nameBytes   = 100
	stepBytes   = 72
)

// propertyKey identifies a property or a contact of a client.
type propertyKey struct {
	kind schemas.ChangeKind
	name string
}

// history holds the operations on one property, without those that a later set or
// delete has overwritten.
type history struct {
	steps   []step
	ordered bool  // steps ascend by offset, each once, and none is overwritten
	last    int64 // largest offset of steps
	floor   int64 // offset of the latest set or delete; −1 if there is none
	sortAt  int   // number of steps at which they are ordered again
}

type step struct {
	offset    int64
	time      int64
	operation string
	value     jsontext.Value
}

// overwrites reports whether the result of a step does not depend on earlier ones.
func (s step) overwrites() bool {
	return s.operation == schemas.OpSet || s.operation == schemas.OpDelete
}

// Add adds the change at an offset of its client's shard. The order of calls does
// not matter, and a repeated change counts once. Add keeps no reference to c.
func (s *Set) Add(c *schemas.Change, offset int64) {
	if s.clients == nil {
		s.clients = map[int64]map[propertyKey]*history{}
	}
	if s.clients[c.Client] == nil {
		s.clients[c.Client] = map[propertyKey]*history{}
		s.bytes += clientBytes
	}
	for of, v := range ParseValues(c) {
		if s.Keep != nil && !s.Keep(c.Kind, of) {
			continue
		}
		at := propertyKey{kind: c.Kind, name: of}
		h := s.clients[c.Client][at]
		if h == nil {
			h = &history{ordered: true, floor: -1}
			s.clients[c.Client][at] = h
			s.bytes += nameBytes + int64(len(of))
		}
		s.bytes += h.add(step{offset: offset, time: c.Time, operation: c.Operation, value: v})
	}
}

// ParseValues returns the operands of a change by name. It returns nil for a change
// that cannot be parsed: one of a later version, or one that the edge would refuse.
func ParseValues(c *schemas.Change) map[string]jsontext.Value {
	var values map[string]jsontext.Value
	if !c.Kind.Has(c.Operation) || json.Unmarshal(c.Values, &values) != nil {
		return nil
	}
	return values
}

// minSortedSteps is the number of steps that a history takes at least, in the order in
// which they come, before it orders them.
const minSortedSteps = 64

// add returns by how many bytes the history grew. Steps mostly come in order; others
// are appended all the same and ordered once they have doubled, since to insert each
// in its place would move all later ones.
func (h *history) add(s step) (grown int64) {
	if s.offset < h.floor || s.offset == h.floor || len(h.steps) > 0 && s.offset == h.last {
		return 0 // overwritten, or repeated
	}
	if s.overwrites() {
		h.floor = s.offset
	}
	switch {
	case len(h.steps) == 0 || s.offset > h.last:
		if s.overwrites() {
			grown, h.steps, h.ordered = -h.bytes(), h.steps[:0], true
		}
		h.last = s.offset
	default:
		h.ordered = false
	}
	h.steps = append(h.steps, s)
	grown += s.bytes()
	if !h.ordered && len(h.steps) >= max(h.sortAt, minSortedSteps) {
		grown += h.order()
		h.sortAt = 2 * len(h.steps)
	}
	return grown
}

// order puts the steps in order, and returns by how many bytes the history grew: it
// drops those that are overwritten or repeated.
func (h *history) order() (grown int64) {
	if h.ordered {
		return 0
	}
	grown = -h.bytes()
	h.steps = slices.DeleteFunc(h.steps, func(s step) bool { return s.offset < h.floor })
	slices.SortFunc(h.steps, func(a, b step) int { return cmp.Compare(a.offset, b.offset) })
	h.steps = slices.CompactFunc(h.steps, func(a, b step) bool { return a.offset == b.offset })
	h.ordered = true
	return grown + h.bytes()
}

func (h *history) bytes() (n int64) {
	for i := range h.steps {
		n += h.steps[i].bytes()
	}
	return n
}

func (s *step) bytes() int64 { return stepBytes + int64(len(s.value)) }

// Clients yields every client that has changes, in no particular order, even if no
// property is left.
func (s *Set) Clients() iter.Seq2[int64, Client] {
	return func(yield func(int64, Client) bool) {
		for id := range s.clients {
			if !yield(id, s.Client(id)) {
				return
			}
		}
	}
}

// Client computes the state of one client.
func (s *Set) Client(id int64) Client {
	var c Client
	for at, h := range s.clients[id] {
		value := h.value()
		if value == nil {
			continue
		}
		last := h.steps[len(h.steps)-1]
		v := Value{JSON: value, Time: last.time, Offset: last.offset}
		switch {
		case at.kind != schemas.ContactChange:
			put(&c.Properties, at.name, v)
		case value.Kind() == '"' && string(value) != `""`:
			put(&c.Contacts, at.name, v)
		}
	}
	return c
}

func put(to *map[string]Value, name string, v Value) {
	if *to == nil {
		*to = map[string]Value{}
	}
	(*to)[name] = v
}

// value applies the steps in order; nil means that there is no value.
func (h *history) value() jsontext.Value {
	h.order()
	var v jsontext.Value
	var list *stringList // the value while it is a list that members are added to and removed from; v is not up to date then
	for _, s := range h.steps {
		if s.operation == schemas.OpAdd || s.operation == schemas.OpRemove {
			if list == nil {
				list = newStringList(v)
			}
			list.apply(s.operation, s.value)
			continue
		}
		if list != nil {
			v, list = list.value(v), nil
		}
		switch s.operation {
		case schemas.OpSet:
			v = compact(s.value)
		case schemas.OpDelete:
			v = nil
		case schemas.OpIncrease:
			v = increase(v, s.value)
		}
	}
	if list != nil {
		v = list.value(v)
	}
	return v
}

// compact returns v without white space; nil for null.
func compact(v jsontext.Value) jsontext.Value {
	v = v.Clone()
	if err := v.Compact(); err != nil || v.Kind() == 'n' {
		return nil
	}
	return v
}

// increase returns v + by, or v if one of them cannot be added.
func increase(v, by jsontext.Value) jsontext.Value {
	from := v
	if from == nil {
		from = jsontext.Value("0")
	}
	if sum := addNumbers(from, by); sum != nil {
		return sum
	}
	return v
}

// Members parses the operand of add and remove: a list of strings or a single
// string. ok is false for anything else.
func Members(v jsontext.Value) (texts []string, ok bool) {
	if v.Kind() != '"' {
		texts, ok = stringsOf(v)
		return texts, ok && v != nil
	}
	var one string
	if json.Unmarshal(v, &one) != nil {
		return nil, false
	}
	return []string{one}, true
}

// stringsOf parses a list of strings; nil counts as an empty one.
func stringsOf(v jsontext.Value) (texts []string, ok bool) {
	if v == nil {
		return nil, true
	}
	var list []any
	if v.Kind() != '[' || json.Unmarshal(v, &list) != nil {
		return nil, false
	}
	for _, member := range list {
		text, isText := member.(string)
		if !isText {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}
