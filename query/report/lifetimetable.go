package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/query/cost"
)

// lifetimeTable is the reports eventTracking/lifetime/dataTable and
// eventTracking/churn/lifetime/dataTable: a row for each event with how often
// clients sent it in their whole lives. The first is about the clients that
// were active in a range, the second about those that were lost in it.
type lifetimeTable struct {
	q               *base
	population      population
	series          *series
	selected        []int // series of the answer, by number
	units           int64
	rows            map[event]*tableRow // by event, if no events were requested
	requested       []*tableRow
	categorize      bool
	sorting         sorting
	firstRow, limit int64
}

// tableRow is the row of one event.
type tableRow struct {
	requestedEvent
	all    tableCell
	series []tableCell // by number of the series; shorter if the last ones are empty
}

// tableCell is what some clients sent of one event.
type tableCell struct {
	count, users int64
	activeDays   int64 // active days of these users
}

// cellNumbers is how many numbers a tableCell holds.
const cellNumbers = 3

// add adds one client.
func (c *tableCell) add(count, activeDays int64) {
	c.count += count
	c.users++
	c.activeDays += activeDays
}

// maxPageRows is the largest number of rows on a page.
const maxPageRows = 1000

// NewLifetimeTable compiles eventTracking/lifetime/dataTable.
func NewLifetimeTable(b *Body, params Params) (*Question, error) {
	return newLifetimeTable(b, params, false)
}

// NewChurnTable compiles eventTracking/churn/lifetime/dataTable.
func NewChurnTable(b *Body, params Params) (*Question, error) {
	return newLifetimeTable(b, params, true)
}

// newLifetimeTable compiles both reports; lost selects lost clients.
func newLifetimeTable(b *Body, params Params, lost bool) (*Question, error) {
	q, clients, err := newLifetimeBase(b, params, lost)
	if err != nil {
		return nil, err
	}
	t := &lifetimeTable{population: clients, rows: map[event]*tableRow{}}
	question := &Question{base: q, report: t}
	t.q = &question.base
	level, err := newSegments(b, &t.q.props)
	if err != nil {
		return nil, err
	}
	if level != nil {
		t.series = newSeries(level)
		t.series.countTo(q.params.Cost, 0)
	}
	if err := t.readEvents(b); err != nil {
		return nil, err
	}
	t.categorize = b.Categorize != nil && *b.Categorize
	if t.sorting, err = newSorting(b.Sorting); err != nil {
		return nil, err
	}
	return question, t.readPage(b)
}

// readEvents reads the events that the table is restricted to; without them it
// has every event of its clients.
func (t *lifetimeTable) readEvents(b *Body) (err error) {
	if b.Events == nil || b.Events.Kind() == 'n' {
		t.q.everyEvent = true
		return nil
	}
	if t.q.events, err = t.q.props.readEvents(b.Events, true); err != nil {
		return err
	}
	for i := range t.q.events {
		t.requested = append(t.requested, &tableRow{requestedEvent: t.q.events[i]})
	}
	return nil
}

// readPage reads startAtRow and limit, which are additions of Weir: the
// published paging fields are not known.
func (t *lifetimeTable) readPage(b *Body) error {
	t.limit = maxPageRows
	if b.StartAtRow != nil {
		if t.firstRow = int64(*b.StartAtRow); t.firstRow < 0 {
			return fieldErrorf("startAtRow", "must be 0 or more")
		}
	}
	if b.Limit != nil {
		if t.limit = int64(*b.Limit); t.limit < 1 || t.limit > maxPageRows {
			return fieldErrorf("limit", "must be 1 to %d", maxPageRows)
		}
	}
	return nil
}

// aggregate adds the clients of one pass.
func (t *lifetimeTable) aggregate(ctx context.Context, cs *clientStats) {
	var in []int // series of one unit
	rows := t.requested
	if t.q.everyEvent {
		rows = make([]*tableRow, len(cs.eventIndex.all))
	}
	for u := range eachUnit(ctx, cs) {
		if !t.population.has(cs, u) {
			continue
		}
		t.units++
		if in = in[:0]; t.series != nil {
			in = t.series.add(in, cs, u, maxDay)
		}
		days := cs.activeDays[u].len()
		for _, count := range cs.eventCounts.of(u) {
			if rows[count.event] == nil {
				rows[count.event] = t.row(cs.eventIndex.all[count.event].event)
			}
			if cells := rows[count.event].add(count.count, days, in); cells > 0 {
				t.q.params.Cost.AddCounts("segments", cells*cellNumbers, 0)
			}
		}
	}
}

// restart forgets what was added.
func (t *lifetimeTable) restart() {
	t.rows, t.units = map[event]*tableRow{}, 0
	if t.series != nil {
		t.series = newSeries(t.series.level)
		t.series.countTo(t.q.params.Cost, 0)
	}
}

// row returns the row of an event, and adds it if it is new.
func (t *lifetimeTable) row(e event) *tableRow {
	row := t.rows[e]
	if row == nil {
		row = &tableRow{requestedEvent: requestedEvent{event: e}}
		t.rows[e] = row
	}
	return row
}

// add adds one client to the row and to the series that it is in, and returns
// how many cells the row has more.
func (r *tableRow) add(count, days int64, in []int) (cells int) {
	r.all.add(count, days)
	before := len(r.series)
	for _, n := range in {
		if n >= len(r.series) {
			r.series = append(r.series, make([]tableCell, n+1-len(r.series))...)
		}
		r.series[n].add(count, days)
	}
	return len(r.series) - before
}

// result is a page of sorted rows, with reachedEnd and nextRow beside it.
func (t *lifetimeTable) result() Answer {
	rows := t.requested
	rows = slices.AppendSeq(rows, maps.Values(t.rows))
	if t.series != nil {
		t.selected = t.series.selected(&t.q.pace)
	}
	sortAtPace(&t.q.pace, rows, t.sorting.events)
	from := min(t.firstRow, int64(len(rows)))
	to := min(from+t.limit, int64(len(rows)))
	t.checkSize(rows[from:to])
	more := Object{{"reachedEnd", to == int64(len(rows))}}
	if to < int64(len(rows)) {
		more = append(more, Member{"nextRow", to})
	}
	return Answer{Result: t.encodeRows(rows[from:to]), More: more}
}

// checkSize refuses a page that its rows and segments make too large.
func (t *lifetimeTable) checkSize(rows []*tableRow) {
	a := cost.Answer{Field: "segments", Series: max(1, int64(len(t.selected))), Buckets: int64(len(rows)), Numbers: tableNumbers}
	for _, n := range t.selected {
		a.Bytes += int64(len(t.series.keys[n].label))
	}
	a.Bytes = cost.Mul(a.Buckets, a.Bytes+2*tableNumbers*numberBytes*a.Series) // its names are long
	_ = t.q.params.Cost.Check(a)                                               // the context says it
}

// encodeRows encodes rows, by category if requested: categories in the order of
// their first row, combinations last.
func (t *lifetimeTable) encodeRows(rows []*tableRow) []any {
	encode := func(row *tableRow, category bool) any {
		return lazy(func() any { return append(row.title(category), t.cells(row)...) })
	}
	out := []any{}
	if !t.categorize {
		for _, row := range rows {
			out = append(out, encode(row, true))
		}
		return out
	}
	var order []string
	cells, combinations := map[string][]any{}, []any{}
	for _, row := range rows {
		if row.combination != nil {
			combinations = append(combinations, encode(row, true))
			continue
		}
		if cells[row.category] == nil {
			order = append(order, row.category)
		}
		cells[row.category] = append(cells[row.category], encode(row, false))
	}
	for _, category := range order {
		out = append(out, Object{{"eventCategory", categoryName(category)}, {"categoryData", cells[category]}})
	}
	return append(out, combinations...)
}

func (r *tableRow) title(category bool) Object {
	switch {
	case r.combination != nil:
		return Object{{"combiLabel", r.label}}
	case category:
		return Object{{"eventCategory", categoryName(r.category)}, {"eventName", r.name}}
	}
	return Object{{"eventName", r.name}}
}

// cells encodes the numbers of a row and of its segments.
func (t *lifetimeTable) cells(r *tableRow) Object {
	out := r.all.encode(t.units)
	if t.series == nil {
		return out
	}
	cell := func(n int) *tableCell {
		if n < len(r.series) {
			return &r.series[n]
		}
		return &tableCell{}
	}
	numbers := slices.Clone(t.selected)
	sortAtPace(&t.q.pace, numbers, func(a, b int) int {
		return t.sorting.segments(t.series, a, b, cell(a), cell(b))
	})
	segments := make([]lazy, len(numbers))
	for i, n := range numbers {
		segments[i] = func() any {
			return append(Object{{"segmentLabel", t.series.keys[n].label}}, cell(n).encode(t.series.units[n])...)
		}
	}
	return append(out, Member{"segments", segments})
}

// encode encodes the published numbers: occurrences, clients, their share of
// all active clients, and occurrences per client and per active day of these
// clients.
func (c *tableCell) encode(active int64) Object {
	return Object{
		{"active", active},
		{"eventCount", c.count},
		{"uniqueUsersUsedAtLeastOnce", c.users},
		{"percentUsedAtLeastOnce", percent(c.users, active)},
		{"eventCountPerUserUsedAtLeastOnce", per(c.count, c.users)},
		{"eventCountPerUserUsedAtLeastOnceActiveDay", per(c.count, c.activeDays)},
	}
}

// sorting says how rows and the segments in them are ordered.
type sorting struct {
	byEvents, bySegments     string
	eventsDown, segmentsDown bool
}

// Sort keys of rows and segments, as published.
const (
	byAlpha   = "alpha"
	byActive  = "active"
	byCounts  = "eventCounts"
	byUsers   = "uniqueUsersUsedAtLeastOnce"
	byPercent = "percentUsedAtLeastOnce"
)

// newSorting reads "sorting". Rows and segments ascend by name unless requested
// otherwise.
func newSorting(raw jsontext.Value) (sorting, error) {
	s := sorting{byEvents: byAlpha, bySegments: byAlpha}
	if raw == nil || raw.Kind() == 'n' {
		return s, nil
	}
	m, err := objectOf("sorting", raw)
	if err != nil {
		return s, err
	}
	for _, key := range []struct {
		name string
		into *string
		of   []string
	}{
		{"events", &s.byEvents, []string{byAlpha, byCounts, byUsers}},
		{"segments", &s.bySegments, []string{byAlpha, byActive, byCounts, byUsers, byPercent}},
	} {
		if err := m.read("sorting", key.name, key.into, "a string"); err != nil {
			return s, err
		}
		if !slices.Contains(key.of, *key.into) {
			return s, fieldErrorf("sorting."+key.name, "%q is not one of %s", *key.into, strings.Join(key.of, ", "))
		}
		direction := "asc"
		if err := m.read("sorting", key.name+"Direction", &direction, "a string"); err != nil {
			return s, err
		}
		if direction != "asc" && direction != "desc" {
			return s, fieldErrorf("sorting."+key.name+"Direction", "%q is not asc or desc", direction)
		}
		if direction == "desc" {
			s.eventsDown, s.segmentsDown = s.eventsDown || key.name == "events", s.segmentsDown || key.name == "segments"
		}
	}
	return s, nil
}

// events orders rows. Equal rows are ordered by category and name, combinations
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

// compareTitle orders rows by what they are named.
func (r *tableRow) compareTitle(o *tableRow) int {
	if (r.combination == nil) != (o.combination == nil) {
		if r.combination == nil {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(r.label, o.label), r.compare(o.event))
}

// directed returns an order or its reverse; for equal elements it returns
// another order.
func directed(order int, down bool, equal int) int {
	if down {
		order = -order
	}
	return cmp.Or(order, equal)
}

// segments orders the segments of a row by the numbers of that row. Percentages
// are compared as they are shown, in tenths.
func (s *sorting) segments(p *series, a, b int, x, y *tableCell) int {
	alpha := strings.Compare(p.keys[a].label, p.keys[b].label)
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
