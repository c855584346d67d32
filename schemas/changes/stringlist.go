package changes

import (
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// Bounds of a list that members are added to: what would pass one of them is not
// added. They are constants, since the value of a property must be the same whoever
// computes it. A list that was set as a whole may be longer; then nothing is added.
const (
	MaxListMembers = 10_000
	MaxListBytes   = schemas.MaxEventBytes // of the list as JSON
)

// stringList is a list of strings while members are added to and removed from it, each
// in constant time. A value that is no list stays as it is.
type stringList struct {
	members []listMember
	last    map[string]int // index of the last member of a text that was not removed, plus 1
	count   int            // members that were not removed
	bytes   int            // of their JSON
	changed bool           // a step was applied
	list    bool           // the value is a list, or there was none
	some    bool           // there was a value
}

type listMember struct {
	text    string
	before  int // index of the member before it with the same text, plus 1
	bytes   int // of its JSON with a comma
	removed bool
}

// newStringList returns the list v; nil counts as an empty one.
func newStringList(v jsontext.Value) *stringList {
	texts, ok := stringsOf(v)
	l := &stringList{last: map[string]int{}, list: ok, some: v != nil}
	for _, text := range texts {
		l.append(text, quotedLen(text))
	}
	return l
}

// quotedLen returns the length of a text as JSON with a comma.
func quotedLen(text string) int {
	quoted, _ := jsontext.AppendQuote(nil, text) // never fails: the strings are valid UTF-8
	return len(quoted) + 1
}

func (l *stringList) append(text string, bytes int) {
	l.members = append(l.members, listMember{text: text, before: l.last[text], bytes: bytes})
	l.last[text] = len(l.members)
	l.count++
	l.bytes += bytes
}

// apply adds or removes members. An operand that is none changes nothing.
func (l *stringList) apply(operation string, operand jsontext.Value) {
	texts, ok := Members(operand)
	if !ok || !l.list || operation == schemas.OpRemove && !l.some {
		return
	}
	l.changed, l.some = true, true
	for _, text := range texts {
		if operation == schemas.OpRemove {
			l.remove(text)
		} else if l.last[text] == 0 {
			l.add(text)
		}
	}
}

// add appends a text that the list lacks, if there is room.
func (l *stringList) add(text string) {
	bytes := quotedLen(text)
	if l.count < MaxListMembers && l.bytes+bytes < MaxListBytes {
		l.append(text, bytes)
	}
}

// remove removes all members of a text.
func (l *stringList) remove(text string) {
	for at := l.last[text]; at > 0; at = l.members[at-1].before {
		l.members[at-1].removed = true
		l.count--
		l.bytes -= l.members[at-1].bytes
	}
	delete(l.last, text)
}

// value returns the list as JSON, or v if no step was applied to it.
func (l *stringList) value(v jsontext.Value) jsontext.Value {
	if !l.changed {
		return v
	}
	out := jsontext.Value("[")
	for i := range l.members {
		if l.members[i].removed {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, l.members[i].text) // never fails: the strings are valid UTF-8
	}
	return append(out, ']')
}
