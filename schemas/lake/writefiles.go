package lake

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"weir/schemas/lake/parquet"
)

// maxConcurrentPuts is how many data files of one cut are put at once: the cut
// of a backfill may have a hundred of them, one for each month.
const maxConcurrentPuts = 8

// WriteEvents puts the rows of batches, all of one shard and with
// columns.Schema, as one data file for each partition: one file if they arrived in
// one month. Rows are sorted over all batches. Readers see nothing before the files are committed;
// files of a cut that is never committed are orphans.
func (l *Lake) WriteEvents(ctx context.Context, shard int32, batches []arrow.Record) ([]DataFile, error) {
	by := l.tables[Events].division()
	contents, err := sortEvents(batches, by.runs)
	if err != nil {
		return nil, fmt.Errorf("write events of shard %d: %w", shard, err)
	}
	return l.writeFiles(ctx, Events, shard, &by, batches, contents)
}

// writeFiles encodes contents, which refer to rows of batches, one after the
// other, and puts them concurrently. The data files come in the order of
// contents.
func (l *Lake) writeFiles(ctx context.Context, t Table, shard int32, by *division, batches []arrow.Record, contents []fileContent) ([]DataFile, error) {
	if len(contents) == 0 {
		return nil, nil
	}
	e, err := l.acquireEncoder(t)
	if err != nil {
		return nil, err
	}
	defer l.releaseEncoder(t, e)
	if err := e.Bind(batches); err != nil {
		return nil, fmt.Errorf("write %s of shard %d: %w", t, shard, err)
	}
	files := make([]DataFile, len(contents))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrentPuts)
	for i, c := range contents {
		body := bytes.NewBuffer(make([]byte, 0, e.SizeHint(len(c.rows))))
		if files[i], err = l.encode(e, body, t, shard, by, c); err != nil {
			break
		}
		if err = ctx.Err(); err != nil {
			break
		}
		g.Go(func() error {
			if err := l.store.Put(ctx, files[i].Path, body.Bytes()); err != nil {
				return fmt.Errorf("put data file %s: %w", files[i].Path, err)
			}
			return nil
		})
	}
	if errPut := g.Wait(); errPut != nil {
		return nil, errPut
	}
	if err != nil {
		return nil, err
	}
	return files, nil
}

// encode writes one data file to out.
func (l *Lake) encode(e *parquet.Encoder, out io.Writer, t Table, shard int32, by *division, content fileContent) (DataFile, error) {
	key, err := l.dataKey(t, shard, by, content.partition)
	if err != nil {
		return DataFile{}, err
	}
	e.Begin(out)
	if err := e.Write(content.rows); err != nil {
		return DataFile{}, fmt.Errorf("encode data file %s: %w", key, err)
	}
	return l.finish(e, key, t, shard, by, content.partition)
}

// finish ends the data file that e writes to key. It refuses rows of another
// shard: the file could never be dropped or replaced with its own shard's
// files.
func (l *Lake) finish(e *parquet.Encoder, key string, t Table, shard int32, by *division, partition int32) (DataFile, error) {
	metrics, err := e.Finish()
	if err != nil {
		return DataFile{}, fmt.Errorf("encode data file %s: %w", key, err)
	}
	file, err := l.describe(t, key, by, partition, metrics)
	if err != nil {
		return DataFile{}, err
	}
	if file.Shard != shard {
		return DataFile{}, fmt.Errorf("encode data file %s: rows are of shard %d", key, file.Shard)
	}
	return file, nil
}

// dataKey returns a unique name for a data file of t. No two attempts write to
// the same object, so one that arrives late cannot overwrite what a commit has
// referred to.
func (l *Lake) dataKey(t Table, shard int32, by *division, partition int32) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("name a data file of %s: %w", t, err)
	}
	return fmt.Sprintf("%s/data/%s/%d/%s.parquet", l.tableKey(t), by.folder(partition), shard, id), nil
}

// keptEncoderBytes is the largest encoder that is kept. That of a usual cut of events
// holds a quarter of it; long text makes larger ones.
const keptEncoderBytes = 16 << 20

// acquireEncoder returns an encoder of t for the caller alone; releaseEncoder
// gives it back.
func (l *Lake) acquireEncoder(t Table) (*parquet.Encoder, error) {
	if e := l.tables[t].encoder.Swap(nil); e != nil {
		return e, nil
	}
	if e, ok := l.tables[t].encoders.Get().(*parquet.Encoder); ok {
		return e, nil
	}
	return parquet.NewEncoder(string(t), l.tables[t].layout, l.cfg.Compression)
}

// releaseEncoder keeps e for a later data file, without what it held of the
// last one. A pool alone would not do: it is emptied by garbage collections, of which
// there are several between two cuts.
func (l *Lake) releaseEncoder(t Table, e *parquet.Encoder) {
	e.Release()
	if e.Bytes() > keptEncoderBytes || !l.tables[t].encoder.CompareAndSwap(nil, e) {
		l.tables[t].encoders.Put(e)
	}
}
