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

// maxConcurrentPuts is how many data files are on their way to the object store at once: a
// backfill touches a hundred months in one cut.
const maxConcurrentPuts = 8

// WriteEvents puts the rows of batches, all of one shard with columns.Schema,
// as one data file for each month of event time. Rows are sorted over all
// batches. Nothing shows until the files are committed.
func (l *Lake) WriteEvents(ctx context.Context, shard int32, batches []arrow.Record) ([]DataFile, error) {
	contents, err := sortEvents(batches)
	if err != nil {
		return nil, fmt.Errorf("write events of shard %d: %w", shard, err)
	}
	return l.writeFiles(ctx, Events, shard, batches, contents)
}

// writeFiles encodes parts, rows of batches, one after the other and puts them
// side by side. Their data files come in the order of parts.
func (l *Lake) writeFiles(ctx context.Context, t Table, shard int32, batches []arrow.Record, contents []fileContent) ([]DataFile, error) {
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
		var body bytes.Buffer
		if files[i], err = l.encode(e, &body, t, shard, c); err != nil {
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
func (l *Lake) encode(e *parquet.Encoder, out io.Writer, t Table, shard int32, content fileContent) (DataFile, error) {
	key, err := l.dataKey(t, shard, content.partition)
	if err != nil {
		return DataFile{}, err
	}
	e.Begin(out)
	if err := e.Write(content.rows); err != nil {
		return DataFile{}, fmt.Errorf("encode data file %s: %w", key, err)
	}
	return l.finish(e, key, t, shard, content.partition)
}

// finish ends the data file that e writes to key.
func (l *Lake) finish(e *parquet.Encoder, key string, t Table, shard, partition int32) (DataFile, error) {
	metrics, err := e.Finish()
	if err != nil {
		return DataFile{}, fmt.Errorf("encode data file %s: %w", key, err)
	}
	file, err := l.describe(t, key, partition, metrics)
	if err != nil {
		return DataFile{}, err
	}
	if file.Shard != shard {
		return DataFile{}, fmt.Errorf("encode data file %s: rows are of shard %d", key, file.Shard)
	}
	return file, nil
}

// dataKey is a new name for a data file of t.
func (l *Lake) dataKey(t Table, shard, partition int32) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("name a data file of %s: %w", t, err)
	}
	folder := l.tables[t].partition.folder(partition)
	return fmt.Sprintf("%s/data/%s/shard=%d/%s.parquet", l.tableKey(t), folder, shard, id), nil
}

// acquireEncoder is an encoder of t for the caller alone; releaseEncoder gives it back.
func (l *Lake) acquireEncoder(t Table) (*parquet.Encoder, error) {
	if e, ok := l.tables[t].encoders.Get().(*parquet.Encoder); ok {
		return e, nil
	}
	return parquet.NewEncoder(string(t), l.tables[t].layout, l.cfg.Compression)
}

// releaseEncoder keeps e for the next data file, but nothing of the last one.
func (l *Lake) releaseEncoder(t Table, e *parquet.Encoder) {
	e.Release()
	l.tables[t].encoders.Put(e)
}
