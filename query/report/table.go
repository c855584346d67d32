package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// lifeTable is how often clients sent each event in their lives: the lifetime
// data tables, of all clients and of lost ones.
type lifeTable struct {
	q          *base
	whose      whose
	parts      *parts
	units      int64
	rows       map[event]*tableRow // of all events; by what was asked for otherwise
	asked      []*tableRow
	categorize bool
	sorting    sorting
	from, most int64
}

// tableRow is one event.
type tableRow struct {
	asked
	all   tableCell
	parts []tableCell // by series; shorter where later ones have none
}

// tableCell is what some clients sent of one event.
type tableCell struct {
	count, users int64
	activeDays   int64 // of these users
}

func (c *tableCell) add(count, activeDays int64) {
	c.count += count
	c.users++
	c.activeDays += activeDays
}

// Rows of a page of a table.
const maxRows = 1000

// NewLifetimeTable compiles eventTracking/lifetime/dataTable.
func NewLifetimeTable(b *Body, given Params) (*Question, error) { return newLifeTable(b, given, false) }

// NewChurnTable compiles eventTracking/churn/lifetime/dataTable.
func NewChurnTable(b *Body, given Params) (*Question, error) { return newLifeTable(b, given, true) }

func newLifeTable(b *Body, given Params, churned bool) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	t := &lifeTable{rows: map[event]*tableRow{}}
	question := &Question{base: q, report: t}
	t.q = &question.base
	if err := t.q.counting(b); err != nil {
		return nil, err
	}
	if t.whose, err = newWhose(b, t.q, churned); err != nil {
		return nil, err
	}
	level, err := newSegments(b, &t.q.props)
	if err != nil {
		return nil, err
	}
	if level != nil {
		t.parts = newParts(level)
	}
	t.q.needs.lifeDays = true
	if err := t.readEvents(b); err != nil {
		return nil, err
	}
	t.categorize = b.Categorize != nil && *b.Categorize
	if t.sorting, err = newSorting(b.Sorting); err != nil {
		return nil, err
	}
	return question, t.readPage(b)
}

func (t *lifeTable) readEvents(b *Body) (err error) {
	if b.Events == nil || b.Events.Kind() == 'n' {
		t.q.everyEvent = true
		return nil
	}
	if t.q.askedFor, err = newAsked(b.Events, true); err != nil {
		return err
	}
	for i := range t.q.askedFor {
		t.asked = append(t.asked, &tableRow{asked: t.q.askedFor[i]})
	}
	return nil
}

func (t *lifeTable) readPage(b *Body) error {
	t.most = maxRows
	if b.StartAtRow != nil {
		if t.from = *b.StartAtRow; t.from < 0 {
			return wrong("startAtRow", "must be 0 or more")
		}
	}
	if b.Limit != nil {
		if t.most = *b.Limit; t.most < 1 || t.most > maxRows {
			return wrong("limit", "must be 1 to %d", maxRows)
		}
	}
	return nil
}

func (t *lifeTable) tally(f *facts) {
	var in []int // the series of a unit
	rows := t.asked
	if t.q.everyEvent {
		rows = make([]*tableRow, len(f.events.all))
	}
	for u := range int32(len(f.units)) {
		if !t.whose.has(f, u) {
			continue
		}
		t.units++
		if in = in[:0]; t.parts != nil {
			in = t.parts.add(in, f, u, maxDay)
		}
		days := f.life[u].len()
		for _, of := range f.counts.of(u) {
			if rows[of.event] == nil {
				rows[of.event] = t.row(f.events.all[of.event].event)
			}
			rows[of.event].add(of.count, days, in)
		}
	}
}

// row is that of an event.
func (t *lifeTable) row(e event) *tableRow {
	row := t.rows[e]
	if row == nil {
		row = &tableRow{asked: asked{event: e}}
		t.rows[e] = row
	}
	return row
}

// add counts one unit, in the whole and in the series it is in.
func (r *tableRow) add(count, days int64, in []int) {
	r.all.add(count, days)
	for _, n := range in {
		for len(r.parts) <= n {
			r.parts = append(r.parts, tableCell{})
		}
		r.parts[n].add(count, days)
	}
}

func (t *lifeTable) answer() Answer {
	rows := t.asked
	for _, row := range t.rows {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, t.sorting.events)
	from := min(t.from, int64(len(rows)))
	to := min(from+t.most, int64(len(rows)))
	more := Object{{"reachedEnd", to == int64(len(rows))}}
	if to < int64(len(rows)) {
		more = append(more, Member{"nextRow", to})
	}
	return Answer{Result: t.spell(rows[from:to]), More: more}
}

// spell writes rows, by category if that was asked for: categories in the
// order of their first row, combinations last.
func (t *lifeTable) spell(rows []*tableRow) []Object {
	out := []Object{}
	if !t.categorize {
		for _, row := range rows {
			out = append(out, append(row.title(true), t.cells(row)...))
		}
		return out
	}
	var order []string
	of, combinations := map[string][]Object{}, []Object{}
	for _, row := range rows {
		if row.of != nil {
			combinations = append(combinations, append(row.title(true), t.cells(row)...))
			continue
		}
		if of[row.category] == nil {
			order = append(order, row.category)
		}
		of[row.category] = append(of[row.category], append(row.title(false), t.cells(row)...))
	}
	for _, category := range order {
		out = append(out, Object{{"eventCategory", categoryName(category)}, {"categoryData", of[category]}})
	}
	return append(out, combinations...)
}

func (r *tableRow) title(category bool) Object {
	switch {
	case r.of != nil:
		return Object{{"combiLabel", r.label}}
	case category:
		return Object{{"eventCategory", categoryName(r.category)}, {"eventName", r.name}}
	}
	return Object{{"eventName", r.name}}
}

// cells are the numbers of a row, and of its segments.
func (t *lifeTable) cells(r *tableRow) Object {
	out := r.all.spell(t.units)
	if t.parts == nil {
		return out
	}
	cell := func(n int) *tableCell {
		if n < len(r.parts) {
			return &r.parts[n]
		}
		return &tableCell{}
	}
	kept := t.parts.kept()
	slices.SortFunc(kept, func(a, b int) int {
		return t.sorting.segments(t.parts, a, b, cell(a), cell(b))
	})
	segments := []Object{}
	for _, n := range kept {
		segments = append(segments, append(Object{{"segmentLabel", t.parts.label[n]}}, cell(n).spell(t.parts.units[n])...))
	}
	return append(out, Member{"segments", segments})
}

func (c *tableCell) spell(active int64) Object {
	return Object{
		{"active", active},
		{"eventCount", c.count},
		{"uniqueUsersUsedAtLeastOnce", c.users},
		{"percentUsedAtLeastOnce", percent(c.users, active)},
		{"eventCountPerUserUsedAtLeastOnce", per(c.count, c.users)},
		{"eventCountPerUserUsedAtLeastOnceActiveDay", per(c.count, c.activeDays)},
	}
}

// sorting says how rows and their segments are ordered.
type sorting struct {
	byEvents, bySegments     string
	eventsDown, segmentsDown bool
}

// What rows and segments can be sorted by.
const (
	byAlpha   = "alpha"
	byActive  = "active"
	byCounts  = "eventCounts"
	byUsers   = "uniqueUsersUsedAtLeastOnce"
	byPercent = "percentUsedAtLeastOnce"
)

func newSorting(raw jsontext.Value) (sorting, error) {
	s := sorting{byEvents: byAlpha, bySegments: byAlpha}
	if raw == nil || raw.Kind() == 'n' {
		return s, nil
	}
	m, err := objectOf("sorting", raw)
	if err != nil {
		return s, err
	}
	for _, one := range []struct {
		name string
		into *string
		of   []string
	}{
		{"events", &s.byEvents, []string{byAlpha, byCounts, byUsers}},
		{"segments", &s.bySegments, []string{byAlpha, byActive, byCounts, byUsers, byPercent}},
	} {
		if err := m.read("sorting", one.name, one.into, "a string"); err != nil {
			return s, err
		}
		if !slices.Contains(one.of, *one.into) {
			return s, wrong("sorting."+one.name, "%q is not one of %s", *one.into, strings.Join(one.of, ", "))
		}
		way := "asc"
		if err := m.read("sorting", one.name+"Direction", &way, "a string"); err != nil {
			return s, err
		}
		if way != "asc" && way != "desc" {
			return s, wrong("sorting."+one.name+"Direction", "%q is not asc or desc", way)
		}
		if way == "desc" {
			s.eventsDown, s.segmentsDown = s.eventsDown || one.name == "events", s.segmentsDown || one.name == "segments"
		}
	}
	return s, nil
}

// events orders rows; what is equal goes by category and name, combinations
// last by their label.
func (s *sorting) events(a, b *tableRow) int {
	alpha := a.compareTitle(b)
	var order int
	switch s.byEvents {
	case byCounts:
		order = cmp.Compare(a.all.count, b.all.count)
	case byUsers:
		order = cmp.Compare(a.all.users, b.all.users)
	default:
		order = alpha
	}
	return directed(order, s.eventsDown, alpha)
}

func (r *tableRow) compareTitle(o *tableRow) int {
	if (r.of == nil) != (o.of == nil) {
		if r.of == nil {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(r.label, o.label), r.compare(o.event))
}

// directed is an order or its reverse, and for what is equal another.
func directed(order int, down bool, equal int) int {
	if down {
		order = -order
	}
	return cmp.Or(order, equal)
}

func (s *sorting) segments(p *parts, a, b int, x, y *tableCell) int {
	alpha := strings.Compare(p.label[a], p.label[b])
	order := alpha
	switch s.bySegments {
	case byActive:
		order = cmp.Compare(p.units[a], p.units[b])
	case byCounts:
		order = cmp.Compare(x.count, y.count)
	case byUsers:
		order = cmp.Compare(x.users, y.users)
	case byPercent:
		order = cmp.Compare(tenths(x.users, p.units[a]), tenths(y.users, p.units[b]))
	}
	return directed(order, s.segmentsDown, alpha)
}
