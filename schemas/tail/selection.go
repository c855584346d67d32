package tail

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
)

var errColumn = errors.New("unknown column")

const (
	minUncopiedRows    = 1 << 10   // a batch of at least so many rows is sent without a copy if all of its rows are selected
	maxDictionaryBytes = 256 << 10 // and if its dictionaries have at most so many bytes, as each slice repeats them
)

// Select yields the rows of p that f selects, with the named columns. A batch is
// valid until the iterator moves on.
func (p *Part) Select(names []string, f columns.Filter, mem memory.Allocator) iter.Seq2[arrow.Record, error] {
	sel, err := newSelection(Request{Filter: f, Columns: names}, mem)
	if err != nil {
		return func(yield func(arrow.Record, error) bool) { yield(nil, err) }
	}
	sel.inProcess = true
	return sel.batches(p, p.Rows)
}

// SelectChanges is Select of changes, with all their columns. It ignores the time
// ranges of f.
func (p *Part) SelectChanges(f columns.Filter, mem memory.Allocator) iter.Seq2[arrow.Record, error] {
	return newChangeSelection(Request{Filter: f}, mem).batches(p, p.Changes)
}

// newChangeSelection returns a selection of the changes that req selects.
func newChangeSelection(req Request, mem memory.Allocator) *selection {
	schema := columns.ChangeSchema()
	req.Columns = nil
	for _, f := range schema.Fields() {
		req.Columns = append(req.Columns, f.Name)
	}
	f := &req.Filter
	f.TimeFrom, f.TimeTo, f.ArrivalFrom, f.ArrivalTo = 0, 0, 0, 0
	return &selection{req: req, schema: schema, mem: mem}
}

// selection filters batches by the rows and columns of one request.
type selection struct {
	req       Request
	schema    *arrow.Schema
	mem       memory.Allocator
	inProcess bool // batches do not cross the wire, so their size does not matter
}

func newSelection(req Request, mem memory.Allocator) (*selection, error) {
	events := columns.Schema()
	fields := make([]arrow.Field, len(req.Columns))
	for i, name := range req.Columns {
		at := events.FieldIndices(name)
		if len(at) != 1 {
			return nil, fmt.Errorf("%w %q", errColumn, name)
		}
		fields[i] = events.Field(at[0])
	}
	return &selection{req: req, schema: arrow.NewSchema(fields, nil), mem: mem}, nil
}

// batches yields the selected rows of recs, which belong to p. A batch is valid
// until the iterator moves on.
func (s *selection) batches(p *Part, recs []arrow.Record) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		if len(s.req.Columns) == 0 {
			return
		}
		out := newRowCopier(s.schema, s.mem)
		defer out.release()
		for _, rec := range recs {
			rows, err := s.match(rec, p)
			if err == nil && len(rows) == 0 {
				continue
			}
			b := selectedRows{rows: rows}
			if err == nil {
				b.columns, err = s.columnsOf(rec)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !s.emit(out, b, rec, yield) {
				return
			}
		}
		out.flush(yield)
	}
}

// selectedRows are the selected columns and row numbers of one batch.
type selectedRows struct {
	columns []arrow.Array
	rows    []int32
}

// emit yields b without a copy if that is cheaper, or else copies its rows to out.
// It reports whether to go on.
func (s *selection) emit(out *rowCopier, b selectedRows, rec arrow.Record, yield func(arrow.Record, error) bool) bool {
	all := int64(len(b.rows)) == rec.NumRows()
	if all && s.inProcess {
		whole := array.NewRecord(s.schema, b.columns, rec.NumRows())
		defer whole.Release()
		return out.flush(yield) && yield(whole, nil)
	}
	if !all || len(b.rows) < minUncopiedRows || !b.sliceable() {
		return out.add(b, yield)
	}
	return out.flush(yield) && s.yieldSlices(b, yield)
}

// sliceable reports whether slices of b with equal row counts have about equal
// sizes. Each slice carries the whole dictionaries, and a column of plain strings may
// have most of its bytes in few rows.
func (b *selectedRows) sliceable() bool {
	var coded uint64
	plain := false
	for _, col := range b.columns {
		switch col := col.(type) {
		case *array.Dictionary:
			coded += col.Dictionary().Data().SizeInBytes()
		case *array.String:
			plain = true
		}
	}
	return coded <= maxDictionaryBytes && (!plain || b.size() <= 4*batchBytes)
}

// yieldSlices yields all rows of b without a copy, in slices of about batchBytes.
func (s *selection) yieldSlices(b selectedRows, yield func(arrow.Record, error) bool) bool {
	rows := int64(len(b.rows))
	whole := array.NewRecord(s.schema, b.columns, rows)
	defer whole.Release()
	n := b.size()/batchBytes + 1
	step := (rows + n - 1) / n
	for from := int64(0); from < rows; from += step {
		piece := whole.NewSlice(from, min(from+step, rows))
		more := yield(piece, nil)
		piece.Release()
		if !more {
			return false
		}
	}
	return true
}

func (b *selectedRows) size() int64 {
	var n uint64
	for _, col := range b.columns {
		n += col.Data().SizeInBytes()
	}
	return int64(n)
}

// columnsOf returns the selected columns of rec.
func (s *selection) columnsOf(rec arrow.Record) ([]arrow.Array, error) {
	chosen := make([]arrow.Array, len(s.req.Columns))
	for i, name := range s.req.Columns {
		at := rec.Schema().FieldIndices(name)
		if len(at) != 1 {
			return nil, fmt.Errorf("tail batch: %w %q", errColumn, name)
		}
		chosen[i] = rec.Column(at[0])
	}
	return chosen, nil
}

// match returns the numbers of the selected rows of rec, ascending.
func (s *selection) match(rec arrow.Record, p *Part) ([]int32, error) {
	m := &matcher{rec: rec, rows: allRows(rec)}
	f := &s.req.Filter
	end := p.Next
	if to, ok := f.OffsetTo[p.Shard]; ok {
		end = min(end, to)
	}
	if f.Shard != nil && *f.Shard != p.Shard {
		return nil, nil
	}
	m.keepRange(columns.Offset, max(p.From, f.OffsetFrom[p.Shard]), end)
	m.keepAnyOf(columns.ProductID, f.Products)
	m.keepAnyOf(columns.ClientID, f.Clients)
	m.keepRangeMS(columns.Time, f.TimeFrom, f.TimeTo)
	m.keepRangeMS(columns.Arrival, f.ArrivalFrom, f.ArrivalTo)
	if s.req.Rows != nil {
		m.keepSorted(columns.Offset, s.req.Rows[p.Shard])
	}
	return m.rows, m.err
}

func allRows(rec arrow.Record) []int32 {
	rows := make([]int32, rec.NumRows())
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// matcher filters row numbers, condition by condition.
type matcher struct {
	rec  arrow.Record
	rows []int32
	err  error
}

// keepRange keeps the rows with from ≤ value < to.
func (m *matcher) keepRange(column string, from, to int64) {
	m.keepIf(column, func(v int64) bool { return from <= v && v < to })
}

// keepRangeMS is keepRange for a column in microseconds and bounds in milliseconds;
// a bound of 0 is open.
func (m *matcher) keepRangeMS(column string, from, to int64) {
	if from == 0 && to == 0 {
		return
	}
	start, end := int64(math.MinInt64), int64(math.MaxInt64)
	if from != 0 {
		start = micros(from)
	}
	if to != 0 {
		end = micros(to)
	}
	m.keepRange(column, start, end)
}

func micros(ms int64) int64 { return max(-columns.MaxTimeMS, min(ms, columns.MaxTimeMS)) * 1000 }

// keepAnyOf keeps the rows whose value is in list; a nil list keeps all.
func (m *matcher) keepAnyOf(column string, list []int64) {
	if list == nil {
		return
	}
	wanted := make(map[int64]struct{}, len(list))
	for _, v := range list {
		wanted[v] = struct{}{}
	}
	m.keepIf(column, func(v int64) bool { _, ok := wanted[v]; return ok })
}

// keepSorted keeps the rows whose value is in an ascending list; an empty list
// keeps none.
func (m *matcher) keepSorted(column string, list []int64) {
	m.keepIf(column, func(v int64) bool { _, ok := slices.BinarySearch(list, v); return ok })
}

// keepIf keeps the rows whose value satisfies wanted. It remembers the first error, and
// does nothing after one.
func (m *matcher) keepIf(column string, wanted func(int64) bool) {
	if len(m.rows) == 0 || m.err != nil {
		return
	}
	at := m.rec.Schema().FieldIndices(column)
	if len(at) != 1 {
		m.err = fmt.Errorf("tail batch: %w %q", errColumn, column)
		return
	}
	switch col := m.rec.Column(at[0]).(type) {
	case *array.Int64:
		m.rows = filterRows(m.rows, col.Int64Values(), wanted)
	case *array.Timestamp:
		m.rows = filterRows(m.rows, col.TimestampValues(), wanted)
	default:
		m.err = fmt.Errorf("tail batch: column %q is %s", column, col.DataType())
	}
}

// filterRows filters rows in place.
func filterRows[T ~int64](rows []int32, values []T, wanted func(int64) bool) []int32 {
	kept := rows[:0]
	for _, row := range rows {
		if wanted(int64(values[row])) {
			kept = append(kept, row)
		}
	}
	return kept
}
