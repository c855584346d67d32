package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
	"weir/schemas/values"
)

// level is one level of a segmentation: a property and its segments.
type level struct {
	id       int    // index among the levels of the question
	field    string // of the segments, in errors
	property int    // index in usedProperties.all; −1 for flags
	segments []segment

	keys   *levelKeys
	named  int     // keys of series that are shown even if no client is in them
	labels []int32 // 1 + number of the key of a label, by segment; 0 is none
}

// segment is one segment: one series, or with split one series for each value
// that matches.
type segment struct {
	label     string // of the one series; "" with split
	split     bool
	limit     int        // largest number of series with split; 0 is no limit
	condition *condition // nil for flags
	nulls     bool       // null is a series of its own (includeNull)
	flags     []test
}

// maxLevels is the largest number of levels, as published.
const maxLevels = 3

// newLevels compiles "levels", level1 first.
func newLevels(field string, raw jsontext.Value, maxDepth int, p *usedProperties) ([]level, error) {
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
			return nil, fieldErrorf(at, "level%d is missing", i-1)
		}
		if i > maxDepth {
			return nil, fieldErrorf(at, "with a dateSplit there is one level at most")
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
			return nil, fieldErrorf(field+"."+name, "levels are level1 to level%d", maxLevels)
		}
	}
	return out, nil
}

// newLevel compiles one member of "levels".
func newLevel(field string, raw jsontext.Value, p *usedProperties) (l level, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return l, err
	}
	var name string
	if err := m.read(field, "property", &name, "a string"); err != nil {
		return l, err
	}
	if err := m.only(field, "property", "segments"); err != nil {
		return l, err
	}
	return levelOf(field+".property", name, field+".segments", m["segments"], p)
}

// newSegments compiles segmentBy and segments; nil without them.
func newSegments(b *Body, p *usedProperties) (*level, error) {
	if text(b.SegmentBy) == "" {
		if b.Segments != nil && b.Segments.Kind() != 'n' {
			return nil, fieldErrorf("segmentBy", "is missing")
		}
		return nil, nil //nolint:nilnil // no segmentation is not an error
	}
	l, err := levelOf("segmentBy", *b.SegmentBy, "segments", b.Segments, p)
	return &l, err
}

// levelOf compiles a property and its segments. field and segments are their
// names in errors.
func levelOf(field, name, segments string, raw jsontext.Value, p *usedProperties) (l level, err error) {
	if name == "" {
		return l, fieldErrorf(field, "is missing")
	}
	l.id, l.property, l.field = p.levels, -1, segments
	p.levels++
	if _, flags := property.Levels(name); !flags {
		if l.property, err = p.use(field, name); err != nil {
			return l, err
		}
	}
	var all []jsontext.Value
	m := members{"segments": raw}
	if raw == nil || !m.has("segments") {
		return l, fieldErrorf(segments, "is missing")
	}
	if raw.Kind() != '[' || m.read("", "segments", &all, "an array") != nil || len(all) == 0 {
		return l, fieldErrorf(segments, "must be an array of segments")
	}
	for i, raw := range all {
		s, err := newSegment(fmt.Sprintf("%s.%d", segments, i), name, raw, p)
		if err != nil {
			return l, err
		}
		if s.condition != nil {
			s.condition.canonicalize(p.all[l.property].typ)
		}
		l.segments = append(l.segments, s)
	}
	l.nameSeries()
	return l, l.distinct(segments)
}

// distinct refuses a label that is there twice.
func (l *level) distinct(field string) error {
	seen := map[string]bool{}
	for i := range l.segments {
		s := &l.segments[i]
		if !s.split && seen[s.label] {
			return fieldErrorf(fmt.Sprintf("%s.%d.segmentLabel", field, i), "%q is not unique", s.label)
		}
		seen[s.label] = true
	}
	return nil
}

// newSegment compiles one segment. Segments of flags have flags in place of a
// condition.
func newSegment(field, name string, raw jsontext.Value, p *usedProperties) (s segment, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return s, err
	}
	if err := m.read(field, "segmentLabel", &s.label, "a string"); err != nil {
		return s, err
	}
	if _, flags := property.Levels(name); flags {
		if s.label == "" {
			return s, fieldErrorf(field+".segmentLabel", "is missing")
		}
		s.flags, err = flagTests(field, name, raw, p, "segmentLabel")
		return s, err
	}
	if s.condition, err = newCondition(field, m, p, "segmentLabel", "split", "limit"); err != nil {
		return s, err
	}
	s.nulls, s.condition.nulls = s.condition.nulls, false
	return s, s.readSeries(field, m)
}

// readSeries reads split, limit and the label. As published, only stringArray
// and regex can be split, and a segment without split needs a label unless its
// value can be one.
func (s *segment) readSeries(field string, m members) error {
	if err := m.read(field, "split", &s.split, "true or false"); err != nil {
		return err
	}
	var limit values.Int
	if err := m.read(field, "limit", &limit, "a whole number"); err != nil {
		return err
	}
	s.limit = int(limit)
	switch {
	case s.split && !s.condition.canSplit():
		return fieldErrorf(field+".split", "only stringArray and regex can be split")
	case s.limit < 0 || m.has("limit") && s.limit == 0:
		return fieldErrorf(field+".limit", "must be 1 or more")
	case m.has("limit") && !s.split:
		return fieldErrorf(field+".limit", "only what is split has a limit")
	case s.split:
		s.label = ""
		return nil
	}
	return s.setLabel(field)
}

// setLabel sets the label of a segment that is one series: the given one, or
// the value.
func (s *segment) setLabel(field string) error {
	if s.condition.kind == "" {
		s.label = NullLabel
		return nil
	}
	if s.label != "" {
		return nil
	}
	value, ok := s.condition.valueLabel()
	if !ok {
		return fieldErrorf(field+".segmentLabel", "is missing")
	}
	s.label = value
	return nil
}

// fixedSeries returns the series that are shown even if no client is in them:
// those with a label of the request, and null.
func (l *level) fixedSeries() []seriesKey {
	var out []seriesKey
	for i := range l.segments {
		s := &l.segments[i]
		if !s.split && s.label != "" {
			out = append(out, seriesKey{label: s.label, segment: i})
		}
		if s.nulls && s.label != NullLabel {
			out = append(out, seriesKey{label: NullLabel, segment: i})
		}
	}
	return out
}

// withinLimits returns the indexes of the keys that the limits of a level keep,
// in any order. A segment with a limit keeps its largest series, by size and
// then by label; the series of null does not count towards the limit and is
// always kept. Without a level there are no limits. size returns the size of
// the series at an index: each report has its own measure.
func withinLimits(l *level, keys []seriesKey, p *pace, size func(i int) int64) []int {
	var out []int
	limited := map[int][]int{} // by segment
	for i, key := range keys {
		if p.stop(1) {
			break
		}
		if l != nil && key.label != NullLabel && l.segments[key.segment].limit > 0 {
			limited[key.segment] = append(limited[key.segment], i)
			continue
		}
		out = append(out, i)
	}
	for segment, all := range limited {
		sortAtPace(p, all, func(a, b int) int {
			return cmp.Or(cmp.Compare(size(b), size(a)), strings.Compare(keys[a].label, keys[b].label))
		})
		out = append(out, all[:min(len(all), l.segments[segment].limit)]...)
	}
	return out
}
