package lake

import (
	"context"
	"sync/atomic"

	"weir/schemas/lake/parquet"
)

// dataFiles opens data files, and keeps the parsed footers of those that were
// read last: each costs a request to the store and is parsed whole, and the next
// question mostly reads the same files.
type dataFiles struct {
	store   ObjectStore
	footers *lruCache[*parquet.File]
	decoded atomic.Int64 // rows of pages that scans and merges decoded, of each column
}

// open returns file ready to be read.
func (d *dataFiles) open(ctx context.Context, file *DataFile) (*parquet.File, error) {
	if f, ok := d.footers.lookup(file.Path); ok {
		return f, nil
	}
	f, err := d.openOnce(ctx, file)
	if err == nil {
		d.footers.add(file.Path, f, f.Memory())
	}
	return f, err
}

// openOnce is open for a file that is soon replaced: it is not kept.
func (d *dataFiles) openOnce(ctx context.Context, file *DataFile) (*parquet.File, error) {
	return parquet.Open(ctx, d.store, file.Path, file.Bytes, &d.decoded)
}

// FooterUse counts what became of the footers of data files that scans wanted.
type FooterUse struct {
	Kept, Read int64 // that were in memory; that were fetched and parsed
	Bytes      int64 // in memory, about
}

// FooterUseOf returns the figures of l since it was opened.
func FooterUseOf(l *Lake) FooterUse {
	c := l.files.footers
	c.mu.Lock()
	defer c.mu.Unlock()
	return FooterUse{Kept: c.hits, Read: c.misses, Bytes: c.size}
}

// DecodedOf returns how many rows the pages had that l has decoded since it was
// opened, counted for each column: what pruning saves.
func DecodedOf(l *Lake) int64 { return l.files.decoded.Load() }
