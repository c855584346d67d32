package query

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// maxCounts bounds the numbers of an answer, names x periods; 8 MiB of counters.
const maxCounts = 1 << 20

// maxCountedNames bounds the names of an answer, of up to 256 bytes each.
const maxCountedNames = 100_000

// answerCounts answers with the number of events of a period by name, in each day,
// week or month. For the same dates, filters and watermark, the numbers add up to
// totalCount of the list.
//
// Whole UTC days come from the rollups; the cut-off days at both ends, other time
// zones, and what rollups cannot tell come from the events, at the same position of
// each shard: see wholeDays.
func (a *eventsAPI) answerCounts(w http.ResponseWriter, r *http.Request) error {
	principal, err := a.principal(r)
	if err != nil {
		return err
	}
	large, err := a.beginQuestion(r, principal.Account)
	if err != nil {
		return err
	}
	defer large.Release()
	ask, err := decodeCountsQuestion(a.body(w, r), time.Now(), a.lookback)
	if err != nil {
		return err
	}
	if ask.watermark, err = requestedWatermark(r); err != nil {
		return err
	}
	ask.products = principal.Products
	counts, err := newEventCounts(ask)
	if err != nil {
		return err
	}
	place, err := a.views.AcquireScan(r.Context(), principal.Account)
	if err != nil {
		return err
	}
	defer place.Release()
	v, err := a.views.Plan(r.Context(), ask.countsRequest())
	if err != nil {
		return err
	}
	defer v.Close()
	if err := counts.read(r.Context(), v); err != nil {
		return err
	}
	setCoverage(w.Header(), v.Coverage())
	w.Header().Set("Content-Type", "application/json")
	v.Close()
	place.Leave()
	return counts.write(&streamWriter{to: &answerWriter{limits: a.limits, to: w}})
}

// countsRequest asks for the rollups if there are whole days, else for events
// alone.
func (q *countsQuestion) countsRequest() view.Request {
	if first, end := q.wholeDays(); first < end {
		return view.Request{Columns: rollup.Columns(0), Filter: q.filter(), Rollups: []lake.Table{lake.EventDays}}
	}
	return view.Request{Columns: q.countedColumns(), Filter: q.filter(), Watermark: q.watermark, Exact: true}
}

// countedColumns are those that are read of events.
func (q *countsQuestion) countedColumns() []string {
	names := []string{columns.Time, columns.Shard, columns.Offset, columns.Name}
	for _, name := range q.columns() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// eventCounts has the numbers of an answer.
type eventCounts struct {
	*countsQuestion
	rows   map[string]int32 // by name: which row of counts it has
	counts []int64          // a row of all periods for each name
}

// newEventCounts has a row for each name that was asked for, so that the answer
// says 0 of those that did not happen.
func newEventCounts(q *countsQuestion) (*eventCounts, error) {
	c := &eventCounts{countsQuestion: q, rows: map[string]int32{}}
	for _, name := range q.names.List {
		if c.row(name) == tooMany {
			return nil, errTooManyCounts()
		}
	}
	return c, nil
}

// What stands in place of the row of a name.
const (
	tooMany    = -1 // the name is beyond the limits
	notWanted  = -2 // the name was not asked for
	unknownRow = -3 // it has not been looked up
)

// row returns the row of a name, and adds it if it is new. It copies the name,
// which may belong to a batch.
func (c *eventCounts) row(name string) int32 {
	row, known := c.rows[name]
	switch {
	case known:
		return row
	case len(c.rows) == maxCountedNames || len(c.counts)+len(c.periods.Buckets) > maxCounts:
		return tooMany
	}
	row = int32(len(c.rows))
	c.rows[strings.Clone(name)] = row
	c.counts = append(c.counts, make([]int64, len(c.periods.Buckets))...)
	return row
}

// errTooManyCounts names no field: that names are too many is no fault of one.
func errTooManyCounts() error {
	return &schemas.RequestError{
		Status: http.StatusBadRequest, Code: "too_many_counts",
		Detail: fmt.Sprintf("The answer would have more than %d counts, which are names x periods, or more than %d names: ask for fewer names, longer periods or a shorter time",
			maxCounts, maxCountedNames),
	}
}

// add counts n events of a row on a day, which is in the period.
func (c *eventCounts) add(row int32, day int32, n int64) error {
	switch row {
	case tooMany:
		return errTooManyCounts()
	case notWanted:
		return nil
	}
	if period, ok := c.periods.BucketOf(report.Day(day)); ok {
		c.counts[int(row)*len(c.periods.Buckets)+period] += n
	}
	return nil
}

// read counts all events of the view.
func (c *eventCounts) read(ctx context.Context, v *view.View) error {
	first, end := c.wholeDays()
	if first >= end {
		return c.readEvents(ctx, v, c.countedColumns(), c.wall)
	}
	if err := c.readRollups(ctx, v, first, end); err != nil {
		return err
	}
	for _, edge := range []interval{{c.wall.from, int64(first) * dayMS}, {int64(end) * dayMS, c.wall.to}} {
		if edge.from == edge.to {
			continue
		}
		if err := c.readEvents(ctx, v, []string{columns.Time, columns.Name}, edge); err != nil {
			return err
		}
	}
	return nil
}

// readRollups counts the days from first to end, exclusive. What the view gathers
// from events behind the rollups may be of other days.
func (c *eventCounts) readRollups(ctx context.Context, v *view.View, first, end int32) error {
	f := c.filter()
	f.TimeFrom, f.TimeTo = int64(first)*dayMS, int64(end)*dayMS
	for b, err := range v.EventBatches(ctx, f, 0) {
		if err != nil {
			return fmt.Errorf("count events of days: %w", err)
		}
		if err := c.addDays(b, first, end); err != nil {
			return err
		}
	}
	return nil
}

// addDays counts the rows of a batch that are of the days from first to end.
func (c *eventCounts) addDays(b *rollup.EventBatch, first, end int32) error {
	rows := slices.Repeat([]int32{unknownRow}, len(b.Name.Values)) // by code
	for i, code := range b.Name.Codes {
		if b.Day[i] < first || b.Day[i] >= end {
			continue
		}
		if rows[code] == unknownRow {
			rows[code] = c.wantedRow(b.Name.Values[code])
		}
		if err := c.add(rows[code], b.Day[i], b.Count[i]); err != nil {
			return err
		}
	}
	return nil
}

// wantedRow is row for a name that may not be asked for.
func (c *eventCounts) wantedRow(name string) int32 {
	if len(c.names.List) > 0 && !c.names.Has(name) {
		return notWanted
	}
	return c.row(name)
}

// readEvents counts the events whose wall time is in a part of the period.
func (c *eventCounts) readEvents(ctx context.Context, v *view.View, names []string, wall interval) error {
	f := c.filter()
	if c.zone.UTC() && c.ids == nil {
		f.TimeFrom, f.TimeTo = wall.from, wall.to
	}
	for rec, err := range v.Events(ctx, names, f, c.texts()...) {
		if err == nil {
			err = c.addEvents(rec, wall)
		}
		if err != nil {
			return fmt.Errorf("count events: %w", err)
		}
	}
	return nil
}

// addEvents counts the rows of a batch.
func (c *eventCounts) addEvents(rec arrow.Record, wall interval) error {
	v, err := columns.Bind(rec)
	if err != nil {
		return err
	}
	wants, row := c.wants(&v), once(&v.Name, c.row)
	for i := range v.Rows {
		at := c.zone.Wall(v.TimeMS(i))
		if at < wall.from || at >= wall.to || wants != nil && !wants(i) {
			continue
		}
		if err := c.add(row(i), rollup.Day(at), 1); err != nil {
			return err
		}
	}
	return nil
}

// write writes the answer: names by their bytes, of each every period.
func (c *eventCounts) write(out *streamWriter) error {
	periods := make([]string, len(c.periods.Buckets))
	for i, period := range c.periods.Buckets {
		periods[i] = string(c.appendPeriod([]byte{'{'}, period)) + `,"eventCount":`
	}
	out.buf = append(out.buf, `{"startDate":"`+c.startDate+`","endDate":"`+c.endDate+`","groupByPeriod":"`+c.groupByPeriod+`","results":[`...)
	for _, name := range slices.Sorted(maps.Keys(c.rows)) {
		out.buf = append(out.separate(), `{"name":`...)
		out.buf, _ = jsontext.AppendQuote(out.buf, name) // the error is of bytes that are no UTF-8; they are replaced
		out.buf = append(out.buf, `,"periods":[`...)
		first := int(c.rows[name]) * len(periods)
		for i, period := range periods {
			if i > 0 {
				out.buf = append(out.buf, ',')
			}
			out.buf = append(out.buf, period...)
			out.buf = strconv.AppendInt(out.buf, c.counts[first+i], 10)
			out.buf = append(out.buf, '}')
			if err := out.flush(streamBytes); err != nil {
				return err
			}
		}
		out.buf = append(out.buf, "]}"...)
	}
	out.buf = append(out.buf, "]}\n"...)
	return out.flush(0)
}
