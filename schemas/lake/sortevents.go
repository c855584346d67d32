package lake

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

const dayMicros = 24 * 60 * 60 * 1_000_000

// fileContent is the rows of one data file, in order.
type fileContent struct {
	partition int32
	rows      []parquet.RowRef
}

// eventSorter puts rows into the order (partition, product, day, client, time,
// offset). It first counts the rows of each client and day, then sorts these
// groups, and sorts the rows within a group only if they are not in order
// already: records of a client mostly come in the order of their times.
// Benchmark: BenchmarkWriteEvents.
type eventSorter struct {
	byArrival bool // partitions are months of arrival, not of event time

	views    []columns.View
	groupOf  map[clientDay]int32
	groups   []groupRows
	rowGroup []int32 // index in groups of each row, batch after batch
}

// clientDay identifies the rows of one partition, client and UTC day.
type clientDay struct {
	product, client int64
	day             int32
	partition       int32 // a month since January 1970
}

// groupRows is the rows of one clientDay in the sorted order.
type groupRows struct {
	clientDay
	rows  int32 // number of rows
	start int32 // index in the order at which the next row goes
}

// sortEvents sorts the rows of batches and divides them by month, of their arrival
// or of event time. Each month is in the sort order of the table.
func sortEvents(batches []arrow.Record, byArrival bool) ([]fileContent, error) {
	s := eventSorter{byArrival: byArrival, groupOf: map[clientDay]int32{}}
	rows := 0
	for _, rec := range batches {
		v, err := columns.Bind(rec)
		if err != nil {
			return nil, err
		}
		if v.Rows > 0 && (v.Product == nil || v.Client == nil || v.Time == nil || v.Offset == nil || v.Arrival == nil) {
			return nil, fmt.Errorf("batch of %d rows is not of the schema of events", v.Rows)
		}
		s.views = append(s.views, v)
		rows += v.Rows
	}
	s.count(rows)
	order := make([]int32, len(s.groups))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return s.groups[a].compare(&s.groups[b].clientDay) })
	return s.split(order, s.order(order, rows)), nil
}

// compare orders by partition first, since each is one data file; then by
// product, day and client.
func (g *clientDay) compare(o *clientDay) int {
	return cmp.Or(cmp.Compare(g.partition, o.partition), cmp.Compare(g.product, o.product), cmp.Compare(g.day, o.day), cmp.Compare(g.client, o.client))
}

// count finds the group of each row. Consecutive rows are often of one group,
// so the last one is tried first.
func (s *eventSorter) count(rows int) {
	s.rowGroup = make([]int32, 0, rows)
	last, in := clientDay{}, int32(-1)
	months := monthMemo{day: math.MinInt32}
	for k := range s.views {
		v := &s.views[k]
		for i := range v.Rows {
			g := clientDay{product: v.Product[i], client: v.Client[i], day: dayOfMicros(int64(v.Time[i]))}
			if s.byArrival {
				g.partition = months.of(dayOfMicros(int64(v.Arrival[i])))
			} else {
				g.partition = months.of(g.day)
			}
			if in < 0 || g != last {
				last, in = g, s.findGroup(g)
			}
			s.groups[in].rows++
			s.rowGroup = append(s.rowGroup, in)
		}
	}
}

// findGroup returns the index of g in groups, adding it if it is new.
func (s *eventSorter) findGroup(g clientDay) int32 {
	in, known := s.groupOf[g]
	if !known {
		in = int32(len(s.groups))
		s.groupOf[g] = in
		s.groups = append(s.groups, groupRows{clientDay: g})
	}
	return in
}

// order returns all rows in sorted order, given the order of the groups.
func (s *eventSorter) order(order []int32, rows int) []parquet.RowRef {
	next := int32(0)
	for _, g := range order {
		s.groups[g].start = next
		next += s.groups[g].rows
	}
	out := make([]parquet.RowRef, rows)
	n := 0
	for k := range s.views {
		for i := range s.views[k].Rows {
			g := &s.groups[s.rowGroup[n]]
			out[g.start] = parquet.RowRef{Batch: uint32(k), Row: uint32(i)}
			g.start++
			n++
		}
	}
	for _, g := range order {
		s.sortGroup(out[s.groups[g].start-s.groups[g].rows : s.groups[g].start])
	}
	return out
}

// sortGroup sorts the rows of one group by time and offset.
func (s *eventSorter) sortGroup(rows []parquet.RowRef) {
	compare := func(a, b parquet.RowRef) int {
		x, y := &s.views[a.Batch], &s.views[b.Batch]
		return cmp.Or(cmp.Compare(x.Time[a.Row], y.Time[b.Row]), cmp.Compare(x.Offset[a.Row], y.Offset[b.Row]))
	}
	if !slices.IsSortedFunc(rows, compare) {
		slices.SortFunc(rows, compare)
	}
}

// monthMemo remembers the month of the last day.
type monthMemo struct{ day, month int32 }

func (m *monthMemo) of(day int32) int32 {
	if m.day != day {
		m.day, m.month = day, monthOfDay(day)
	}
	return m.month
}

// split divides the sorted rows where the partition changes.
func (s *eventSorter) split(order []int32, rows []parquet.RowRef) []fileContent {
	var parts []fileContent
	for _, g := range order {
		month, n := s.groups[g].partition, int(s.groups[g].rows)
		if last := len(parts) - 1; last >= 0 && parts[last].partition == month {
			parts[last].rows = parts[last].rows[:len(parts[last].rows)+n]
		} else {
			parts = append(parts, fileContent{partition: month, rows: rows[:n]})
		}
		rows = rows[n:]
	}
	return parts
}

// dayOfMicros is the UTC day of an epoch microsecond, in days since 1970.
func dayOfMicros(us int64) int32 {
	day := us / dayMicros
	if us%dayMicros < 0 {
		day--
	}
	return int32(day)
}
