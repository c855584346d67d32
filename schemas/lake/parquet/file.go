package parquet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
)

// Store is the part of an object store that reading a data file needs.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	GetRange(ctx context.Context, key string, off, n int64) ([]byte, error)
}

// File is a data file open for reading: its parsed footer, and where the rest
// lies. It holds none of the pages, so it is worth keeping for the next scan. Its
// methods may be called by several goroutines at once.
type File struct {
	store       Store
	key         string
	size        int64
	file        *parquet.File
	leaf        map[int]int // field id → leaf column
	footerBytes int64
	index       byteRange     // where the page indexes lie; size 0 if there are none
	decoded     *atomic.Int64 // of Open

	mu        sync.Mutex
	indexBody []byte // of index; nil until it is needed, if the end that Open fetched lacks it
}

// Open fetches a small data file whole, or the end of a large one, and reads
// its footer. size is that of the object. To decoded is added how many rows the
// pages have that are decoded, of each column.
func Open(ctx context.Context, store Store, key string, size int64, decoded *atomic.Int64) (*File, error) {
	f := &File{store: store, key: key, size: size, decoded: decoded}
	end, err := f.fetchEnd(ctx)
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", key, err)
	}
	f.file, err = parquet.OpenFile(&end, size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", key, err)
	}
	f.leaf = map[int]int{}
	for _, c := range f.file.Root().Columns() {
		if c.Leaf() {
			f.leaf[c.ID()] = c.Index()
		}
	}
	f.findIndex(end)
	end = nil // f.file refers to it, and would keep the object in memory
	return f, nil
}

// Memory of what is parsed, for each byte that it has in the file: measured by
// TestMemoryOfFooters, rounded up.
const (
	parsedFooter = 16
	parsedIndex  = 4
)

// Memory returns about how many bytes f holds, also those that it reads later.
func (f *File) Memory() int64 {
	return 4<<10 + parsedFooter*f.footerBytes + parsedIndex*f.index.size
}

// RowGroups returns how many row groups the file has.
func (f *File) RowGroups() int { return len(f.file.RowGroups()) }

// Rows returns how many rows a row group has.
func (f *File) Rows(group int) int64 { return f.file.RowGroups()[group].NumRows() }

// Has reports whether the file has a column of that field id.
func (f *File) Has(field int) bool {
	_, ok := f.leaf[field]
	return ok
}

// Bounds returns the smallest and the largest value of a column of integers in
// a row group. They are not known where the file does not say, and where a row
// has no value.
func (f *File) Bounds(group, field int) (low, high int64, known bool) {
	chunk, ok := f.file.RowGroups()[group].ColumnChunks()[f.leaf[field]].(*parquet.FileColumnChunk)
	if !ok {
		return 0, 0, false
	}
	lowest, highest, known := chunk.Bounds()
	if !known || lowest.IsNull() || highest.IsNull() || chunk.NullCount() > 0 {
		return 0, 0, false
	}
	return integerValue(lowest), integerValue(highest), true
}

// integerValue returns a value of a column of 32- or 64-bit integers.
func integerValue(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// UncompressedBytes returns the size of some columns of a row group.
func (f *File) UncompressedBytes(group int, fields []int) (size int64) {
	columns := f.file.Metadata().RowGroups[group].Columns
	for _, leaf := range f.leaves(fields) {
		size += columns[leaf].MetaData.TotalUncompressedSize
	}
	return size
}

// leaves returns the leaf columns of fields, each once; the file may lack some.
func (f *File) leaves(fields []int) []int {
	var out []int
	for _, field := range fields {
		if leaf, ok := f.leaf[field]; ok && !slices.Contains(out, leaf) {
			out = append(out, leaf)
		}
	}
	return out
}
