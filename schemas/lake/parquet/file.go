package parquet

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"
)

// How objects are fetched.
const (
	maxWholeBytes = 512 << 10 // an object up to this size comes in one get
	tailBytes     = 256 << 10 // of a larger one this much comes first: footer and page indexes
	maxGapBytes   = 256 << 10 // ranges that lie closer come as one
	maxRangeGets  = 4         // ranges of a row group on their way at once
)

// Store is the part of an object store that reading a data file needs.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	GetRange(ctx context.Context, key string, off, n int64) ([]byte, error)
}

// File is a data file open for reading. Its methods may be called by several
// goroutines at once.
type File struct {
	store Store
	key   string
	size  int64
	body  []byte        // the whole object, or nil
	tail  fetchedRanges // otherwise its end
	file  *parquet.File
	leaf  map[int]int // field id → leaf column
}

// Open fetches a small data file whole, or the end of a large one, and reads
// its footer. size is that of the object.
func Open(ctx context.Context, store Store, key string, size int64) (*File, error) {
	f := &File{store: store, key: key, size: size}
	var at io.ReaderAt
	var err error
	if size <= maxWholeBytes {
		f.body, err = store.Get(ctx, key)
		at = bytes.NewReader(f.body)
	} else {
		err = f.fetchTail(ctx)
		at = &f.tail
	}
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", key, err)
	}
	f.file, err = parquet.OpenFile(at, size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", key, err)
	}
	f.leaf = map[int]int{}
	for _, c := range f.file.Root().Columns() {
		if c.Leaf() {
			f.leaf[c.ID()] = c.Index()
		}
	}
	return f, nil
}

// fetchTail fetches the end of the object, at least all of the footer.
func (f *File) fetchTail(ctx context.Context) error {
	n := int64(tailBytes)
	for {
		tail, err := f.store.GetRange(ctx, f.key, f.size-n, n)
		if err != nil {
			return err
		}
		if int64(len(tail)) != n {
			return fmt.Errorf("end is %d bytes, want %d: %w", len(tail), n, io.ErrUnexpectedEOF)
		}
		f.tail = fetchedRanges{{from: f.size - n, body: tail}}
		footer := int64(binary.LittleEndian.Uint32(tail[n-8:])) + 8
		if footer <= n {
			return nil
		}
		n = min(footer, f.size)
	}
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

// Fetch fetches some columns of a row group.
func (f *File) Fetch(ctx context.Context, group int, fields []int) (*RowGroup, error) {
	reader, err := f.fetchChunks(ctx, group, f.leaves(fields))
	if err != nil {
		return nil, err
	}
	return &RowGroup{file: f, index: group, reader: reader, chunks: f.file.RowGroups()[group].ColumnChunks()}, nil
}

// fetchChunks fetches the chunks of some leaf columns and returns where to read
// them.
func (f *File) fetchChunks(ctx context.Context, group int, leaves []int) (io.ReaderAt, error) {
	if f.body != nil {
		return bytes.NewReader(f.body), nil
	}
	out := f.chunkRanges(group, leaves)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxRangeGets)
	for i := range out {
		g.Go(func() error {
			body, err := f.store.GetRange(ctx, f.key, out[i].from, out[i].size)
			if err != nil {
				return fmt.Errorf("read data file %s: %w", f.key, err)
			}
			out[i].body = body
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &out, nil
}

// chunkRanges returns where the columns of a row group lie. Ranges that lie
// close become one: a request costs more than the bytes between them.
func (f *File) chunkRanges(group int, leaves []int) fetchedRanges {
	columns := f.file.Metadata().RowGroups[group].Columns
	var all fetchedRanges
	for _, leaf := range leaves {
		m := &columns[leaf].MetaData
		from := m.DataPageOffset
		if m.DictionaryPageOffset > 0 {
			from = min(from, m.DictionaryPageOffset)
		}
		all = append(all, byteRange{from: from, size: m.TotalCompressedSize})
	}
	slices.SortFunc(all, func(a, b byteRange) int { return int(a.from - b.from) })
	var out fetchedRanges
	for _, r := range all {
		if last := len(out) - 1; last >= 0 && r.from-out[last].from-out[last].size < maxGapBytes {
			out[last].size = max(out[last].size, r.from+r.size-out[last].from)
			continue
		}
		out = append(out, r)
	}
	return out
}

// byteRange is a part of an object.
type byteRange struct {
	from, size int64
	body       []byte
}

// fetchedRanges reads the parts of an object that were fetched.
type fetchedRanges []byteRange

// ReadAt reads what lies in one range; anything else is the end.
func (s *fetchedRanges) ReadAt(p []byte, off int64) (int, error) {
	for i := range *s {
		r := &(*s)[i]
		if off < r.from || off >= r.from+int64(len(r.body)) {
			continue
		}
		n := copy(p, r.body[off-r.from:])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	return 0, fmt.Errorf("offset %d was not fetched: %w", off, io.ErrUnexpectedEOF)
}
