package report

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// level is one level of a segmentation.
type level struct {
	property int // index in properties.all; of flags unused
	segments []segment
}

// segment is one segment, or with split one for each value that matches.
type segment struct {
	label     string // of one series; "" with split
	split     bool
	limit     int        // series of split; 0 is no limit
	condition *condition // nil for flags
	nulls     bool       // null is a series of its own
	flags     []test
}

// maxLevels is how deep a report without a split goes.
const maxLevels = 3

// newLevels compiles `levels`.
func newLevels(field string, raw jsontext.Value, most int, p *properties) ([]level, error) {
	if raw == nil || raw.Kind() == 'n' {
		return nil, nil
	}
	m, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	var out []level
	for i := 1; i <= maxLevels; i++ {
		name := fmt.Sprintf("level%d", i)
		if !m.has(name) {
			continue
		}
		at := field + "." + name
		if len(out) < i-1 {
			return nil, wrong(at, "level%d is missing", i-1)
		}
		if i > most {
			return nil, wrong(at, "with a dateSplit there is one level at most")
		}
		l, err := newLevel(at, m[name], p)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
		delete(m, name)
	}
	for name, v := range m {
		if v.Kind() != 'n' {
			return nil, wrong(field+"."+name, "levels are level1 to level%d", maxLevels)
		}
	}
	return out, nil
}

func newLevel(field string, raw jsontext.Value, p *properties) (l level, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return l, err
	}
	var name string
	if err := m.read(field, "property", &name, "a string"); err != nil {
		return l, err
	}
	if name == "" {
		return l, wrong(field+".property", "is missing")
	}
	_, flags := levelsOf(name)
	if !flags {
		if l.property, err = p.use(field+".property", name); err != nil {
			return l, err
		}
	}
	var all []jsontext.Value
	if err := m.read(field, "segments", &all, "an array"); err != nil {
		return l, err
	}
	if len(all) == 0 {
		return l, wrong(field+".segments", "is missing")
	}
	for i, raw := range all {
		s, err := newSegment(fmt.Sprintf("%s.segments.%d", field, i), name, raw, p)
		if err != nil {
			return l, err
		}
		l.segments = append(l.segments, s)
	}
	return l, l.distinct(field)
}

// distinct says that labels that were given are.
func (l *level) distinct(field string) error {
	var seen []string
	for i, s := range l.segments {
		if !s.split && slices.Contains(seen, s.label) {
			return wrong(fmt.Sprintf("%s.segments.%d.segmentLabel", field, i), "%q is not unique", s.label)
		}
		seen = append(seen, s.label)
	}
	return nil
}

func newSegment(field, name string, raw jsontext.Value, p *properties) (s segment, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return s, err
	}
	if err := m.read(field, "segmentLabel", &s.label, "a string"); err != nil {
		return s, err
	}
	if _, flags := levelsOf(name); flags {
		if s.label == "" {
			return s, wrong(field+".segmentLabel", "is missing")
		}
		s.flags, err = flagTests(field, name, raw, p)
		return s, err
	}
	if s.condition, err = newCondition(field, m); err != nil {
		return s, err
	}
	s.nulls, s.condition.nulls = s.condition.nulls, false
	return s, s.series(field, m)
}

// series reads how a segment is labelled and split.
func (s *segment) series(field string, m members) error {
	if err := m.read(field, "split", &s.split, "true or false"); err != nil {
		return err
	}
	if err := m.read(field, "limit", &s.limit, "a whole number"); err != nil {
		return err
	}
	kind := s.condition.kind
	switch {
	case s.split && kind != typeStringArray && kind != typeRegex:
		return wrong(field+".split", "only stringArray and regex can be split")
	case s.limit < 0 || m.has("limit") && s.limit == 0:
		return wrong(field+".limit", "must be 1 or more")
	case m.has("limit") && !s.split:
		return wrong(field+".limit", "only what is split has a limit")
	case s.split:
		s.label = ""
		return nil
	}
	return s.name(field)
}

// name labels what is one series: without a label by the value.
func (s *segment) name(field string) error {
	switch kind := s.condition.kind; {
	case kind == "":
		s.label = NullLabel
	case s.label != "":
	case kind == typeString:
		s.label = s.condition.texts[0]
	case kind == typeNumber:
		text, err := json.Marshal(s.condition.low)
		s.label = string(text)
		return err
	default:
		return wrong(field+".segmentLabel", "is missing")
	}
	return nil
}

// labels appends the series that a client is in, each once, with the segment
// of each.
func (l *level) labels(to []inSegment, value func(property int) Value) []inSegment {
	add := func(label string, i int) {
		if !slices.ContainsFunc(to, func(have inSegment) bool { return have.label == label }) {
			to = append(to, inSegment{label: label, segment: i})
		}
	}
	for i := range l.segments {
		s := &l.segments[i]
		if s.condition == nil {
			if holdAll(s.flags, value) {
				add(s.label, i)
			}
			continue
		}
		v := value(l.property)
		switch {
		case v.Null && s.nulls:
			add(NullLabel, i)
		case v.Null || !s.condition.holds(&v):
		case s.split:
			add(v.label(), i)
		default:
			add(s.label, i)
		}
	}
	return to
}

// fixed are the series that are there whoever is in them.
func (l *level) fixed() []inSegment {
	var out []inSegment
	for i := range l.segments {
		s := &l.segments[i]
		if !s.split && s.label != "" {
			out = append(out, inSegment{label: s.label, segment: i})
		}
		if s.nulls && s.label != NullLabel {
			out = append(out, inSegment{label: NullLabel, segment: i})
		}
	}
	return out
}

type inSegment struct {
	label   string
	segment int
}
