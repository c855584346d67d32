package lake

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// uploadBytes is the size from which a data file is streamed to the object
// store instead of being built in memory.
const uploadBytes = 16 << 20

// streamStore is an object store that takes an object as a stream.
type streamStore interface {
	Upload(ctx context.Context, key string, r io.Reader) (int64, error)
}

// mergeOutput writes the data files of one merge, one after the other.
type mergeOutput struct {
	lake      *Lake
	table     Table
	encoder   *parquet.Encoder
	shard     int32
	by        *division
	partition int32
	rows      columns.Filter // that are read of the inputs
	uploader  streamStore    // nil if files are built in memory

	key    string // of the file being written; "" between files
	body   *bytes.Buffer
	pipe   *io.PipeWriter
	upload *errgroup.Group
	files  []DataFile
}

// newMergeOutput returns an output for the merge of part. Large outputs are
// streamed if the store can take streams, so that memory does not grow with the
// file.
func (l *Lake) newMergeOutput(t Table, by *division, part mergedPart) (*mergeOutput, error) {
	e, err := l.acquireEncoder(t)
	if err != nil {
		return nil, err
	}
	o := &mergeOutput{lake: l, table: t, encoder: e, shard: part.files[0].Shard, by: by, partition: part.partition, rows: part.rows}
	size := int64(0)
	for _, f := range part.files {
		size += f.Bytes
	}
	if size > uploadBytes {
		o.uploader, _ = l.store.(streamStore)
	}
	return o, nil
}

// write appends rows of batches, which come in the sort order of the table.
func (o *mergeOutput) write(ctx context.Context, batches []arrow.Record, rows []parquet.RowRef) error {
	if len(rows) == 0 {
		return nil
	}
	if err := o.begin(ctx); err != nil {
		return err
	}
	if err := o.encoder.Bind(batches); err != nil {
		return err
	}
	if err := o.encoder.Write(rows); err != nil {
		return err
	}
	if o.encoder.Size() < mergeTarget {
		return nil
	}
	return o.end(ctx)
}

// begin starts a data file unless one is being written.
func (o *mergeOutput) begin(ctx context.Context) (err error) {
	if o.key != "" {
		return nil
	}
	if o.key, err = o.lake.dataKey(o.table, o.shard, o.by, o.partition); err != nil {
		return err
	}
	if o.uploader == nil {
		o.body = &bytes.Buffer{}
		o.encoder.Begin(o.body)
		return nil
	}
	r, w := io.Pipe()
	o.pipe, o.upload = w, &errgroup.Group{}
	o.encoder.Begin(w)
	key := o.key
	o.upload.Go(func() error {
		_, err := o.uploader.Upload(ctx, key, r)
		_ = r.CloseWithError(err) // a blocked writer gets err
		return err
	})
	return nil
}

// end finishes the data file and waits until it is stored.
func (o *mergeOutput) end(ctx context.Context) error {
	file, err := o.lake.finish(o.encoder, o.key, o.table, o.shard, o.by, o.partition)
	if err != nil {
		return err
	}
	if o.uploader == nil {
		err = o.lake.store.Put(ctx, o.key, o.body.Bytes())
	} else {
		_ = o.pipe.Close() // never fails
		err = o.upload.Wait()
	}
	if err != nil {
		return fmt.Errorf("put data file %s: %w", o.key, err)
	}
	o.files = append(o.files, file)
	o.key, o.body, o.pipe = "", nil, nil
	return nil
}

// finish ends the last data file and returns all of them.
func (o *mergeOutput) finish(ctx context.Context) ([]DataFile, error) {
	if o.key != "" {
		if err := o.end(ctx); err != nil {
			return nil, err
		}
	}
	return o.files, nil
}

// release abandons a data file that was not ended, and gives back the encoder.
func (o *mergeOutput) release() {
	if o.pipe != nil {
		_ = o.pipe.CloseWithError(context.Canceled) // never fails
		_ = o.upload.Wait()                         // the merge has an error of its own
	}
	o.lake.releaseEncoder(o.table, o.encoder)
}
