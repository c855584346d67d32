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
	batchRows          = 16 << 10  // a batch on the wire is closed at this
	batchBytes         = 4 << 20   // or at this
	minUncopiedRows    = 1 << 10   // rows from which on a batch goes without a copy, if all of it is wanted
	maxDictionaryBytes = 256 << 10 // bytes of dictionaries up to which it does
)

// Select yields those rows of p that f wants, of the columns named. A batch is
// valid until the next one is asked for.
func (p *Part) Select(names []string, f columns.Filter, mem memory.Allocator) iter.Seq2[arrow.Record, error] {
	sel, err := newSelection(Request{Filter: f, Columns: names}, mem)
	if err != nil {
		return func(yield func(arrow.Record, error) bool) { yield(nil, err) }
	}
	sel.inProcess = true
	return sel.batches(p, p.Rows)
}

// SelectChanges is Select of changes, with all their columns; times of f ask
// nothing.
func (p *Part) SelectChanges(f columns.Filter, mem memory.Allocator) iter.Seq2[arrow.Record, error] {
	return newChangeSelection(Request{Filter: f}, mem).batches(p, p.Changes)
}

// newChangeSelection picks the changes that req wants.
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

// selection picks the rows and columns that one request wants.
type selection struct {
	req       Request
	schema    *arrow.Schema
	mem       memory.Allocator
	inProcess bool // batches do not go over the wire: their size does not matter
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

// batches yields what the request wants of recs, which are of p. A batch is
// valid until the next one is asked for.
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

// selectedRows is what is wanted of one batch.
type selectedRows struct {
	columns []arrow.Array
	rows    []int32
}

// emit yields b as it is or copies it to out. It reports whether more is wanted.
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

// sliceable says that any rows of b are about as large as any others: pieces
// of so many rows are pieces of so many bytes. Dictionaries count in full with
// each piece, and a column of plain strings may have all its bytes in few rows.
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

// yieldSlices yields all rows of b without a copy, cut to size.
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

// columnsOf returns the wanted columns of rec.
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

// match returns the rows of rec that are wanted, ascending.
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

// matcher narrows rows, condition by condition.
type matcher struct {
	rec  arrow.Record
	rows []int32
	err  error
}

// keepRange keeps from ≤ value < to.
func (m *matcher) keepRange(column string, from, to int64) {
	m.keepIf(column, func(v int64) bool { return from <= v && v < to })
}

// keepRangeMS is within for a column of microseconds and bounds of milliseconds,
// 0 being open.
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

// keepAnyOf keeps the values of list; nil keeps all.
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

// keepSorted keeps the values of an ascending list; an empty list keeps none.
func (m *matcher) keepSorted(column string, list []int64) {
	m.keepIf(column, func(v int64) bool { _, ok := slices.BinarySearch(list, v); return ok })
}

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

func filterRows[T ~int64](rows []int32, values []T, wanted func(int64) bool) []int32 {
	kept := rows[:0]
	for _, row := range rows {
		if wanted(int64(values[row])) {
			kept = append(kept, row)
		}
	}
	return kept
}
