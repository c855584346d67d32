package lake

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// Limits of a merge.
const (
	mergeTarget    = 512 << 20 // size at which a data file ends and the next begins
	mergeBatchRows = 64 << 10  // events that go to the encoder at once
	mergeBytes     = 32 << 20  // of the batches of all files of a merge together, about; four merges run at once
)

// Merge puts the rows of files, all of one shard of t, as one data file, or as several
// where it would pass 512 MB or they arrived in several months. Rollup rows of one key
// become one row. Until t has runs (see EvolveLayout) files must be of one partition. The files themselves stay in the table until they are
// replaced: see Replace. Its memory is a row group of each file.
func (l *Lake) Merge(ctx context.Context, t Table, files []DataFile) ([]DataFile, error) {
	if len(files) == 0 {
		return nil, nil
	}
	by := l.tables[t].division()
	for _, f := range files {
		if f.Shard != files[0].Shard || !by.runs && f.Partition != files[0].Partition {
			return nil, fmt.Errorf("merge %s: data files %s and %s are not of one shard and partition", t, files[0].Path, f.Path)
		}
	}
	var made []DataFile
	for _, part := range by.parts(files) {
		out, err := mergePart(ctx, l, t, &by, part)
		if err != nil {
			return nil, fmt.Errorf("merge %d data files of %s: %w", len(files), t, err)
		}
		made = append(made, out...)
	}
	return made, nil
}

// mergedPart is the rows of files that go to one partition.
type mergedPart struct {
	partition int32
	files     []DataFile
	rows      columns.Filter // those of the partition; all if no file has others
}

// parts returns the parts of one merge of files. Files of before runs may have arrived
// in several months; each takes a pass of its own over those that have rows of it.
func (s *division) parts(files []DataFile) []mergedPart {
	if !s.runs {
		return []mergedPart{{partition: files[0].Partition, files: files}}
	}
	if s.column == "" {
		return []mergedPart{{files: files}}
	}
	first, last := MonthOf(files[0].Min.Arrival), MonthOf(files[0].Max.Arrival)
	for _, f := range files {
		first, last = min(first, MonthOf(f.Min.Arrival)), max(last, MonthOf(f.Max.Arrival))
	}
	if first == last {
		return []mergedPart{{partition: first, files: files}}
	}
	var parts []mergedPart
	for month := first; month <= last; month++ {
		rows := columns.Filter{ArrivalFrom: startOfMonth(month), ArrivalTo: startOfMonth(month + 1)}
		if some := Prune(files, rows); len(some) > 0 {
			parts = append(parts, mergedPart{month, some, rows})
		}
	}
	return parts
}

// mergePart merges the files of one part.
func mergePart(ctx context.Context, l *Lake, t Table, by *division, part mergedPart) ([]DataFile, error) {
	out, err := l.newMergeOutput(t, by, part)
	if err != nil {
		return nil, err
	}
	defer out.release()
	if err := l.tables[t].merge(ctx, l, out, part.files); err != nil {
		return nil, err
	}
	return out.finish(ctx)
}

// mergeRows returns what merges data files whose rows have a rowFormat.
func mergeRows[R any](format func() rowFormat[R]) mergeFunc {
	return func(ctx context.Context, l *Lake, out *mergeOutput, files []DataFile) error {
		f := format()
		inputs := sortedInputs(ctx, l, out, files, f.read)
		return writeMerged(ctx, l, out, f, mergeSorted(inputs, f.compare, f.merge))
	}
}

// fileBatches yields the rows for out of one of n files that are read at the same
// time and share mergeBytes.
func (l *Lake) fileBatches(ctx context.Context, out *mergeOutput, file DataFile, n int) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, out.table, nil, out.rows)
		if err != nil {
			yield(nil, err)
			return
		}
		s.open, s.bytes = l.files.openOnce, max(64<<10, mergeBytes/int64(n))
		s.run(ctx, []DataFile{file}, func(batch arrow.Record, err error) bool {
			if err != nil && ctx.Err() == nil {
				err = &FileError{Path: file.Path, Err: err}
			}
			return yield(batch, err)
		})
	}
}

// FileError is returned by Merge for a data file that cannot be read. The other files
// may be merged without it.
type FileError struct {
	Path string
	Err  error
}

// Error implements error. The text of Err names the file already.
func (e *FileError) Error() string { return e.Err.Error() }

// Unwrap returns why the file cannot be read.
func (e *FileError) Unwrap() error { return e.Err }

// sortedInputs returns the rows of each file, in the order of the file.
func sortedInputs[R any](ctx context.Context, l *Lake, merged *mergeOutput, files []DataFile, bind func(arrow.Record) func(int, *R) error) []iter.Seq2[*R, error] {
	var out []iter.Seq2[*R, error]
	for _, f := range files {
		out = append(out, decodeRows(l.fileBatches(ctx, merged, f, len(files)), bind))
	}
	return out
}

// writeMerged writes rows to out, batch by batch.
func writeMerged[R any](ctx context.Context, l *Lake, out *mergeOutput, format rowFormat[R], rows iter.Seq2[*R, error]) error {
	b := newBatchBuilder(l.tables[out.table].columns, memory.DefaultAllocator)
	defer b.release()
	flush := func() error {
		order := make([]parquet.RowRef, b.rows)
		for i := range order {
			order[i].Row = uint32(i)
		}
		rec := b.newRecord()
		defer rec.Release()
		return out.write(ctx, []arrow.Record{rec}, order)
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		format.append(b, r, out.shard)
		b.endRow()
		if b.rows == batchRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
