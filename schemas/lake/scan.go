package lake

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"weir/schemas/columns"
)

// Sizes of the batches of a scan.
const (
	scanRows      = 16 << 10
	scanBytes     = 16 << 20 // about; uncompressed
	prefetchFiles = 2        // fetched beside the one being read
)

// How rollups are decoded beside who reads them.
const (
	prefetchGroups  = 2       // row groups at once
	prefetchBatches = 4       // of each, decoded and not yet read
	rollupBytes     = 4 << 20 // of a batch, about; uncompressed
)

// ScanEvents yields the rows of files that f asks for, file by file in the
// order of files, as batches of the named columns (nil is all of them). Rows of
// a file come in its order: product, day, client, time, offset. A batch is
// valid until the next one is asked for; retain it to keep it.
func (l *Lake) ScanEvents(ctx context.Context, files []DataFile, names []string, f columns.Filter) iter.Seq2[arrow.Record, error] {
	return l.scan(ctx, Events, files, names, f)
}

// ScanRollup is ScanEvents of a rollup. Rows of a file come in the order of the
// table, one key may come several times: merge. Up to prefetchGroups row groups
// are decoded at once, beside who reads them. Columns of integers come coded, as
// dictionary arrays, if asked for.
func (l *Lake) ScanRollup(ctx context.Context, t Table, files []DataFile, names []string, f columns.Filter, coded ...string) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, t, names, f, coded...)
		if err != nil {
			yield(nil, err)
			return
		}
		s.bytes, s.mem = rollupBytes, l.rollupMemory
		s.runParallel(ctx, files, yield)
	}
}

// scan yields the rows of files of t that f asks for.
func (l *Lake) scan(ctx context.Context, t Table, files []DataFile, names []string, f columns.Filter) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, t, names, f)
		if err != nil {
			yield(nil, err)
			return
		}
		s.run(ctx, files, yield)
	}
}

// scanner reads data files of one table, one after the other.
type scanner struct {
	store   ObjectStore
	mem     memory.Allocator
	table   Table
	filter  columns.Filter
	columns *arrow.Schema // of the table
	schema  *arrow.Schema // of the batches
	fields  []int         // field id of each column of schema
	rows    int           // of a batch, at most
	bytes   int64         // of a batch, about
}

func newScanner(l *Lake, t Table, names []string, f columns.Filter, coded ...string) (*scanner, error) {
	all := l.tables[t].columns
	s := &scanner{store: l.cachedStore, mem: l.memory, table: t, columns: all, filter: f, rows: scanRows, bytes: scanBytes}
	if names == nil {
		for _, f := range all.Fields() {
			names = append(names, f.Name)
		}
	}
	var fields []arrow.Field
	for _, name := range names {
		at := all.FieldIndices(name)
		if len(at) == 0 {
			return nil, fmt.Errorf("scan %s: there is no column %s", t, name)
		}
		field := all.Field(at[0])
		if slices.Contains(coded, name) {
			field.Type = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: field.Type}
		}
		fields = append(fields, field)
		s.fields = append(s.fields, at[0]+1)
	}
	s.schema = arrow.NewSchema(fields, nil)
	return s, nil
}

// run yields the rows of files, group by group.
func (s *scanner) run(ctx context.Context, files []DataFile, yield func(arrow.Record, error) bool) {
	for g, err := range s.groups(ctx, files) {
		more := err == nil
		if more {
			more, err = s.scanGroup(g, yield)
		}
		if err != nil {
			yield(nil, err)
		}
		if !more {
			return
		}
	}
}

// groups yields the row groups of files that may have rows, ready to be read,
// until one fails.
func (s *scanner) groups(ctx context.Context, files []DataFile) iter.Seq2[*group, error] {
	return func(yield func(*group, error) bool) {
		var jobs []func(context.Context) (*dataFileReader, error)
		for i := range files {
			if files[i].Rows > 0 && mayHave(&s.filter, &files[i]) {
				jobs = append(jobs, func(ctx context.Context) (*dataFileReader, error) { return openDataFile(ctx, s.store, files[i]) })
			}
		}
		for src, err := range prefetch(ctx, prefetchFiles, jobs) {
			if err != nil {
				yield(nil, fmt.Errorf("scan %s: %w", s.table, err))
				return
			}
			if !s.fileGroups(ctx, src, yield) {
				return
			}
		}
	}
}

// group is one row group ready to be read.
type group struct {
	src        *dataFileReader
	reader     io.ReaderAt
	chunks     []parquet.ColumnChunk
	index      int // in the file
	rows       int64
	predicates []predicate // that not all of its rows are known to pass
}

// fileGroups yields the row groups of one file and says whether to go on.
func (s *scanner) fileGroups(ctx context.Context, src *dataFileReader, yield func(*group, error) bool) bool {
	var jobs []func(context.Context) (*group, error)
	for i, g := range src.file.RowGroups() {
		where, some := pruneGroup(src, g, predicates(&s.filter, s.columns, src.Shard))
		if !some {
			continue
		}
		jobs = append(jobs, func(ctx context.Context) (*group, error) {
			at, err := src.chunks(ctx, i, s.leafColumns(src, where))
			return &group{src: src, reader: at, chunks: g.ColumnChunks(), index: i, rows: g.NumRows(), predicates: where}, err
		})
	}
	for g, err := range prefetch(ctx, 1, jobs) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(nil, s.fileError(src, err))
			return false
		}
		if !yield(g, nil) {
			return false
		}
	}
	return true
}

// fileError says which data file err is of.
func (s *scanner) fileError(src *dataFileReader, err error) error {
	return fmt.Errorf("scan %s: data file %s: %w", s.table, src.Path, err)
}

// pruneGroup drops the predicates that all rows of a row group pass by its
// statistics; some is false when no row passes.
func pruneGroup(src *dataFileReader, g parquet.RowGroup, all []predicate) (remaining []predicate, mayMatch bool) {
	for _, p := range all {
		leaf, ok := src.leaves[p.field]
		if !ok {
			return nil, false // the column came after the file: nothing is known of its rows
		}
		chunk, ok := g.ColumnChunks()[leaf].(*parquet.FileColumnChunk)
		if !ok {
			return nil, false
		}
		low, high, known := chunk.Bounds()
		if !known || low.IsNull() || high.IsNull() || chunk.NullCount() > 0 {
			remaining = append(remaining, p)
			continue
		}
		none, all := p.matchRange(integerValue(low), integerValue(high))
		if none {
			return nil, false
		}
		if !all {
			remaining = append(remaining, p)
		}
	}
	return remaining, true
}

// integerValue is a value of a column of ints or longs.
func integerValue(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// leafColumns are the columns of src to fetch.
func (s *scanner) leafColumns(src *dataFileReader, where []predicate) []int {
	var out []int
	add := func(field int) {
		if leaf, ok := src.leaves[field]; ok && !slices.Contains(out, leaf) {
			out = append(out, leaf)
		}
	}
	for _, field := range s.fields {
		add(field)
	}
	for _, p := range where {
		add(p.field)
	}
	return out
}

// scanGroup yields the rows of one row group and says whether to go on.
func (s *scanner) scanGroup(g *group, yield func(arrow.Record, error) bool) (more bool, err error) {
	more, err = s.readGroup(g, yield)
	if err != nil {
		return false, s.fileError(g.src, err)
	}
	return more, nil
}

func (s *scanner) readGroup(g *group, yield func(arrow.Record, error) bool) (more bool, err error) {
	runs, numbers, err := g.filter()
	if err != nil || len(runs) == 0 {
		return true, err
	}
	readers, err := s.openColumns(g, numbers, len(runs) > 1 || int64(runs[0].n) < g.rows)
	defer func() {
		for _, r := range readers {
			if errClose := r.close(); err == nil {
				err = errClose
			}
		}
	}()
	if err != nil {
		return false, err
	}
	for _, part := range split(runs, s.rowsPerBatch(g)) {
		rec, err := s.batch(readers, part)
		if err != nil {
			return false, err
		}
		more := yield(rec, nil)
		rec.Release()
		if !more {
			return false, nil
		}
	}
	return true, nil
}

// rowsPerBatch is how many rows of g make a batch.
func (s *scanner) rowsPerBatch(g *group) int {
	size := int64(1)
	metas := g.src.file.Metadata().RowGroups[0].Columns // all row groups of a file are much alike
	for _, leaf := range s.leafColumns(g.src, nil) {
		size += metas[leaf].MetaData.TotalUncompressedSize
	}
	first := max(1, g.src.file.Metadata().RowGroups[0].NumRows)
	return int(max(64, min(int64(s.rows), s.bytes*first/size)))
}

// batch reads the rows of runs.
func (s *scanner) batch(readers []columnReader, runs []rowRange) (arrow.Record, error) {
	rows := 0
	for _, r := range runs {
		rows += r.n
	}
	cols := make([]arrow.Array, 0, len(readers))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for i, reader := range readers {
		reader.begin(rows)
		for _, r := range runs {
			if err := reader.read(int64(r.from), r.n); err != nil {
				return nil, fmt.Errorf("column %s: %w", s.schema.Field(i).Name, err)
			}
		}
		cols = append(cols, reader.array())
	}
	return array.NewRecord(s.schema, cols, int64(rows)), nil
}

// openColumns makes a reader of each column. numbers are columns of which filter has
// read all rows. Where rows are left out, readers skip pages.
func (s *scanner) openColumns(g *group, numbers map[int][]int64, sparse bool) ([]columnReader, error) {
	out := make([]columnReader, 0, len(s.fields))
	for i, field := range s.fields {
		r, err := s.openColumn(g, s.schema.Field(i), field, numbers[field], sparse)
		if err != nil {
			return out, fmt.Errorf("column %s: %w", s.schema.Field(i).Name, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *scanner) openColumn(g *group, f arrow.Field, field int, read []int64, sparse bool) (columnReader, error) {
	leaf, there := g.src.leaves[field]
	if !there {
		if !f.Nullable {
			return nil, fmt.Errorf("the file lacks it")
		}
		return &nullReader{as: f.Type, mem: s.mem}, nil
	}
	if read != nil && (f.Type.ID() == arrow.INT64 || f.Type.ID() == arrow.TIMESTAMP) {
		return &decodedReader{as: f.Type, valid: validity{mem: s.mem}, from: read}, nil
	}
	chunk, ok := g.chunks[leaf].(*parquet.FileColumnChunk)
	if !ok || chunk.Type().Kind() != physical(f.Type) {
		return nil, fmt.Errorf("the file has it as %s", g.chunks[leaf].Type())
	}
	c := newCursor(chunk, g.reader)
	if sparse {
		c.useOffsetIndex(g.src, chunk)
	}
	out := newColumnReader(c, f.Type, s.mem)
	if strings, ok := out.(*stringReader); ok && chunk.NumValues() > 0 {
		strings.width = int(g.src.file.Metadata().RowGroups[g.index].Columns[leaf].MetaData.TotalUncompressedSize/chunk.NumValues()) + 1
	}
	return out, nil
}

// physical is the Parquet type of a column.
func physical(t arrow.DataType) parquet.Kind {
	switch t.ID() {
	case arrow.INT64, arrow.TIMESTAMP:
		return parquet.Int64
	case arrow.INT32, arrow.DATE32:
		return parquet.Int32
	case arrow.BOOL:
		return parquet.Boolean
	case arrow.DECIMAL128:
		return parquet.FixedLenByteArray
	case arrow.DICTIONARY:
		return physical(valueType(t))
	default:
		return parquet.ByteArray
	}
}

// valueType is the type of what the codes of a dictionary mean.
func valueType(t arrow.DataType) arrow.DataType {
	d, _ := t.(*arrow.DictionaryType)
	return d.ValueType
}

func newColumnReader(c *cursor, t arrow.DataType, mem memory.Allocator) columnReader {
	valid := validity{mem: mem}
	switch t.ID() {
	case arrow.INT64, arrow.TIMESTAMP:
		return newInt64Reader(c, t, valid)
	case arrow.INT32, arrow.DATE32:
		return newInt32Reader(c, t, valid)
	case arrow.BOOL:
		return &boolReader{cursor: c, mem: mem}
	case arrow.DECIMAL128:
		return newDecimalReader(c, t, valid)
	case arrow.DICTIONARY:
		return newDictionaryReader(c, t, valid)
	default:
		return &stringReader{cursor: c, as: t, valid: valid}
	}
}
