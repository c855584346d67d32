package lake

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// Limits of a scan's memory.
const (
	scanRows      = 16 << 10
	scanBytes     = 16 << 20 // of a batch, about; uncompressed
	prefetchFiles = 2        // fetched ahead of the one being read
)

// Limits of the decoding of rollups, which runs ahead of the reader.
const (
	prefetchGroups  = 2       // row groups decoded at once
	prefetchBatches = 4       // of each row group, decoded and not yet read
	rollupBytes     = 4 << 20 // of a batch, about; uncompressed
)

// ScanEvents yields the rows of files that match f and all of textFilters, file by file
// in the order of files, as batches of the named columns (nil is all of them). Rows
// of a file come in its sort order: product, day, client, time, offset. A batch is
// valid until the next; retain it to keep it.
func (l *Lake) ScanEvents(
	ctx context.Context, files []DataFile, names []string, f columns.Filter, textFilters ...TextFilter,
) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, Events, names, f)
		if err == nil {
			err = s.addTexts(l, textFilters)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		s.run(ctx, files, yield)
	}
}

// ScanRollup is ScanEvents for a rollup. Rows of a file come in the sort order
// of the table, and one key may come several times: merge its rows. Up to
// prefetchGroups row groups are decoded at once, ahead of the reader. The
// integer columns named by dictionaries come as dictionary arrays.
func (l *Lake) ScanRollup(ctx context.Context, t Table, files []DataFile, names []string, f columns.Filter, dictionaries ...string) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, t, names, f, dictionaries...)
		if err != nil {
			yield(nil, err)
			return
		}
		s.bytes, s.mem = rollupBytes, l.rollupMemory
		s.runParallel(ctx, files, yield)
	}
}

// scan yields the rows of files of t that match f.
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
	open      func(ctx context.Context, file *DataFile) (*parquet.File, error)
	mem       memory.Allocator
	table     Table
	filter    columns.Filter
	rules     *rules              // of filter
	schema    *arrow.Schema       // of the batches
	fields    []int               // field id of each column of schema
	rows      int                 // of a batch, at most
	bytes     int64               // of a batch, about
	rowsOf    map[int32]predicate // by shard, the offsets of ScanRows; nil in other scans
	openAhead int                 // row groups that are opened while one is read
}

// newScanner returns a scanner of the named columns, or of all for nil.
func newScanner(l *Lake, t Table, names []string, f columns.Filter, dictionaries ...string) (*scanner, error) {
	all := l.tables[t].columns
	f = ordered(f)
	s := &scanner{open: l.files.open, rules: newRules(&f, all), mem: l.memory, table: t, filter: f, rows: scanRows, bytes: scanBytes, openAhead: 1}
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
		if slices.Contains(dictionaries, name) {
			field.Type = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: field.Type}
		}
		fields = append(fields, field)
		s.fields = append(s.fields, at[0]+1)
	}
	s.schema = arrow.NewSchema(fields, nil)
	return s, nil
}

// addTexts adds textFilters to the conditions.
func (s *scanner) addTexts(l *Lake, textFilters []TextFilter) error {
	for _, t := range textFilters {
		at := l.tables[s.table].columns.FieldIndices(t.Column)
		if len(at) == 0 {
			return fmt.Errorf("scan %s: there is no column %s", s.table, t.Column)
		}
		s.rules.add(predicate{field: at[0] + 1, text: t.Matches})
	}
	return nil
}

// run yields the rows of files, row group by row group.
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

// groups yields the row groups of files that may have matching rows, ready to
// be read, until one fails. Files are fetched ahead.
func (s *scanner) groups(ctx context.Context, files []DataFile) iter.Seq2[*group, error] {
	return func(yield func(*group, error) bool) {
		var jobs []func(context.Context) (openDataFile, error)
		for i := range files {
			if files[i].Rows > 0 && mayHave(&s.filter, &files[i]) {
				jobs = append(jobs, func(ctx context.Context) (openDataFile, error) {
					content, err := s.open(ctx, &files[i])
					return openDataFile{DataFile: &files[i], content: content}, err
				})
			}
		}
		for file, err := range prefetch(ctx, prefetchFiles, jobs) {
			if err != nil {
				yield(nil, fmt.Errorf("scan %s: %w", s.table, err))
				return
			}
			if !s.fileGroups(ctx, file, yield) {
				return
			}
		}
	}
}

// openDataFile is a data file whose footer has been read.
type openDataFile struct {
	*DataFile

	content *parquet.File
}

// group is one row group of which the rows that pass are known, and whose columns
// have been fetched for them.
type group struct {
	*parquet.RowGroup

	path    string                 // of the data file
	ranges  []rowRange             // rows that pass
	decoded map[int]parquet.Int64s // by field: columns whose values in ranges are known already
}

// fileGroups yields the row groups of one file that have rows that pass, and
// reports whether to go on. While one is read the next are fetched.
func (s *scanner) fileGroups(ctx context.Context, file openDataFile, yield func(*group, error) bool) bool {
	var jobs []func(context.Context) (*group, error)
	all := s.predicates(file.DataFile)
	for i := range file.content.RowGroups() {
		if rest, mayMatch := pruneGroup(file.content, i, all); mayMatch {
			jobs = append(jobs, func(ctx context.Context) (*group, error) { return s.openGroup(ctx, file, i, rest) })
		}
	}
	for g, err := range prefetch(ctx, s.openAhead, jobs) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(nil, s.fileError(file.Path, err))
			return false
		}
		if g != nil && !yield(g, nil) {
			return false
		}
	}
	return true
}

// fileError adds the path of the data file to err.
func (s *scanner) fileError(path string, err error) error {
	return fmt.Errorf("scan %s: data file %s: %w", s.table, path, err)
}

// scanGroup yields the rows of one row group and reports whether to go on.
func (s *scanner) scanGroup(g *group, yield func(arrow.Record, error) bool) (more bool, err error) {
	more, err = s.readGroup(g, yield)
	if err != nil {
		return false, s.fileError(g.path, err)
	}
	return more, nil
}

// readGroup yields the rows of g that pass, in batches.
func (s *scanner) readGroup(g *group, yield func(arrow.Record, error) bool) (more bool, err error) {
	readers, err := s.openColumns(g)
	defer func() {
		for _, r := range readers {
			if errClose := r.Close(); err == nil {
				err = errClose
			}
		}
	}()
	if err != nil {
		return false, err
	}
	for _, some := range split(g.ranges, s.rowsPerBatch(g)) {
		rec, err := s.batch(readers, some)
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

// rowsPerBatch returns how many rows of g make a batch. All row groups of a file
// are much alike, so the first stands for each.
func (s *scanner) rowsPerBatch(g *group) int {
	size := 1 + g.File().UncompressedBytes(0, s.fields)
	first := max(1, g.File().Rows(0))
	return int(max(64, min(int64(s.rows), s.bytes*first/size)))
}

// batch reads the rows of ranges into one record.
func (s *scanner) batch(readers []parquet.ColumnReader, ranges []rowRange) (arrow.Record, error) {
	rows := 0
	for _, r := range ranges {
		rows += r.N
	}
	cols := make([]arrow.Array, 0, len(readers))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for i, reader := range readers {
		reader.Begin(rows)
		for _, r := range ranges {
			if err := reader.Read(int64(r.From), r.N); err != nil {
				return nil, fmt.Errorf("column %s: %w", s.schema.Field(i).Name, err)
			}
		}
		cols = append(cols, reader.Array())
	}
	return array.NewRecord(s.schema, cols, int64(rows)), nil
}

// openColumns returns a reader of each column. The readers must be closed, also
// after an error.
func (s *scanner) openColumns(g *group) ([]parquet.ColumnReader, error) {
	out := make([]parquet.ColumnReader, 0, len(s.fields))
	for i, field := range s.fields {
		r, err := s.openColumn(g, field, s.schema.Field(i))
		if err != nil {
			return out, fmt.Errorf("column %s: %w", s.schema.Field(i).Name, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// openColumn returns the reader of one column, which copies values that are
// known already.
func (s *scanner) openColumn(g *group, field int, f arrow.Field) (parquet.ColumnReader, error) {
	if known, ok := g.decoded[field]; ok {
		return parquet.NewInt64sReader(f.Type, s.mem, known), nil
	}
	return g.OpenColumn(field, f, s.mem)
}
