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

// Merge puts the rows of files, all of one shard and one partition of t, as one
// data file, or as several where it would pass 512 MB. Rollup rows of one key
// become one row. The files themselves stay in the table until they are
// replaced: see Replace. Its memory is a row group of each file.
func (l *Lake) Merge(ctx context.Context, t Table, files []DataFile) ([]DataFile, error) {
	if len(files) == 0 {
		return nil, nil
	}
	for _, f := range files {
		if f.Shard != files[0].Shard || f.Partition != files[0].Partition {
			return nil, fmt.Errorf("merge %s: data files %s and %s are not of one shard and partition", t, files[0].Path, f.Path)
		}
	}
	out, err := l.newMergeOutput(t, files)
	if err != nil {
		return nil, err
	}
	defer out.release()
	if err := l.tables[t].merge(ctx, l, out, files); err != nil {
		return nil, fmt.Errorf("merge %d data files of %s: %w", len(files), t, err)
	}
	return out.finish(ctx)
}

// mergeRows returns what merges data files whose rows have a rowFormat.
func mergeRows[R any](format func() rowFormat[R]) mergeFunc {
	return func(ctx context.Context, l *Lake, out *mergeOutput, files []DataFile) error {
		f := format()
		inputs := sortedInputs(ctx, l, out.table, files, f.read)
		return writeMerged(ctx, l, out, f, mergeSorted(inputs, f.compare, f.merge))
	}
}

// fileBatches yields the batches of one of n files that are read at the same
// time and share mergeBytes.
func (l *Lake) fileBatches(ctx context.Context, t Table, file DataFile, n int) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, t, nil, columns.Filter{})
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
func sortedInputs[R any](ctx context.Context, l *Lake, t Table, files []DataFile, bind func(arrow.Record) func(int, *R) error) []iter.Seq2[*R, error] {
	var out []iter.Seq2[*R, error]
	for _, f := range files {
		out = append(out, decodeRows(l.fileBatches(ctx, t, f, len(files)), bind))
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
