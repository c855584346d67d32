// Package changes says what is known of a client from what was said of it: it
// applies changes of properties and contacts in the order of the log. It is
// pure arithmetic, takes changes in any order, and keeps no more of them than
// a change that comes later still needs.
//
// What each operation does to one property, and to a contact, which knows set
// alone:
//
//	set        overwrites, also with another type; of a contact, "" clears it
//	increase   adds a number to a number, exactly; a missing one counts as 0
//	add        appends those strings to a list of strings that it lacks; a missing one is empty
//	remove     takes all that equal them from a list of strings, which may end up empty
//	delete     drops it
//
// An operation that does not fit what is there, as an increase of a text,
// changes nothing. So does one that nobody can read.
package changes

import (
	"cmp"
	"iter"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// Client is what is known of one client beside its events, by name.
type Client struct {
	Properties map[string]Value // strings, numbers, booleans and lists of strings; nil when there are none
	Contacts   map[string]Value // strings that are not empty; personal data
}

// Value is what a client has under a name.
type Value struct {
	JSON   jsontext.Value // compact
	Time   int64          // when the edge took the latest change of it; epoch milliseconds
	Offset int64          // and where that stands
}

// Set holds what changes have said of the clients of one product. The zero
// value is empty. It belongs to one goroutine.
type Set struct {
	Keep func(kind schemas.ChangeKind, propertyKey string) bool // which names are kept; nil is all

	clients map[int64]map[propertyKey]*history
	bytes   int64
}

// Len is of how many clients anything was said.
func (s *Set) Len() int { return len(s.clients) }

// Bytes is how much memory the set takes, about.
func (s *Set) Bytes() int64 { return s.bytes }

// What a client, a name and a step take beside their text, about.
const (
	clientBytes = 400
	nameBytes   = 100
	stepBytes   = 72
)

// propertyKey is a property or a contact.
type propertyKey struct {
	kind schemas.ChangeKind
	name string
}

// history is what was done to one property, by offset, without what a later
// set or delete has made void.
type history struct {
	steps []step // ascending by offset
}

type step struct {
	offset    int64
	time      int64
	operation string
	value     jsontext.Value
}

// overwrites says that a step leaves nothing of what was before it.
func (s step) overwrites() bool {
	return s.operation == schemas.OpSet || s.operation == schemas.OpDelete
}

// Add takes in a change that stands at an offset of its client's shard. Order
// does not matter; one that comes twice counts once. It keeps nothing of c.
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
			h = &history{}
			s.clients[c.Client][at] = h
			s.bytes += nameBytes + int64(len(of))
		}
		s.bytes += h.add(step{offset: offset, time: c.Time, operation: c.Operation, value: v})
	}
}

// ParseValues is what a change says, by name: nothing where nobody can read it, be
// it of a later version or not what the edge lets in.
func ParseValues(c *schemas.Change) map[string]jsontext.Value {
	var values map[string]jsontext.Value
	if !c.Kind.Has(c.Operation) || json.Unmarshal(c.Values, &values) != nil {
		return nil
	}
	return values
}

// add returns by how many bytes the history grew.
func (h *history) add(s step) (grown int64) {
	i, twice := slices.BinarySearchFunc(h.steps, s.offset, func(s step, offset int64) int { return cmp.Compare(s.offset, offset) })
	switch {
	case twice, i < len(h.steps) && h.steps[0].overwrites() && i == 0:
		return 0 // known, or void
	case s.overwrites():
		for _, void := range h.steps[:i] {
			grown -= void.bytes()
		}
		h.steps = slices.Delete(h.steps, 0, i)
		i = 0
	}
	h.steps = slices.Insert(h.steps, i, s)
	return grown + s.bytes()
}

func (s *step) bytes() int64 { return stepBytes + int64(len(s.value)) }

// Clients yields every client of which anything was said, in no order, also
// one of which nothing is left.
func (s *Set) Clients() iter.Seq2[int64, Client] {
	return func(yield func(int64, Client) bool) {
		for id := range s.clients {
			if !yield(id, s.Client(id)) {
				return
			}
		}
	}
}

// Client is what is known of one client.
func (s *Set) Client(id int64) Client {
	var c Client
	for at, h := range s.clients[id] {
		is := h.value()
		if is == nil {
			continue
		}
		last := h.steps[len(h.steps)-1]
		v := Value{JSON: is, Time: last.time, Offset: last.offset}
		switch {
		case at.kind != schemas.ContactChange:
			put(&c.Properties, at.name, v)
		case is.Kind() == '"' && string(is) != `""`:
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

// value applies the steps; nil is that there is none.
func (h *history) value() jsontext.Value {
	var v jsontext.Value
	for _, s := range h.steps {
		switch s.operation {
		case schemas.OpSet:
			v = compact(s.value)
		case schemas.OpDelete:
			v = nil
		case schemas.OpIncrease:
			v = increase(v, s.value)
		case schemas.OpAdd:
			v = addMembers(v, s.value)
		case schemas.OpRemove:
			v = removeMembers(v, s.value)
		}
	}
	return v
}

// compact is v without white space; nil where it is null.
func compact(v jsontext.Value) jsontext.Value {
	v = v.Clone()
	if err := v.Compact(); err != nil || v.Kind() == 'n' {
		return nil
	}
	return v
}

// increase is v + by; v where one of them is no number that can be added.
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

// addMembers appends to a list the strings that it lacks.
func addMembers(v, members jsontext.Value) jsontext.Value {
	list, ok1 := stringsOf(v)
	more, ok2 := Members(members)
	if !ok1 || !ok2 {
		return v
	}
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return encodeStrings(list)
}

// removeMembers takes strings from a list.
func removeMembers(v, members jsontext.Value) jsontext.Value {
	list, ok1 := stringsOf(v)
	less, ok2 := Members(members)
	if v == nil || !ok1 || !ok2 {
		return v
	}
	return encodeStrings(slices.DeleteFunc(list, func(m string) bool { return slices.Contains(less, m) }))
}

// Members reads what add and remove are applied with: a list of strings, or a
// single one. ok is false for anything else.
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

// stringsOf reads a list of strings; nothing is an empty one.
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

func encodeStrings(list []string) jsontext.Value {
	out := jsontext.Value("[")
	for i, m := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, m) // what was read as UTF-8 can be written
	}
	return append(out, ']')
}
