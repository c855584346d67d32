package lake

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

// dataFileReader is a data file open for reading.
type dataFileReader struct {
	DataFile
	store  ObjectStore
	body   []byte        // the whole object, or nil
	tail   fetchedRanges // otherwise its end
	file   *parquet.File
	leaves map[int]int // field id → leaf column
}

// openDataFile fetches a small data file, or the end of a large one.
func openDataFile(ctx context.Context, store ObjectStore, f DataFile) (*dataFileReader, error) {
	s := &dataFileReader{DataFile: f, store: store}
	var at io.ReaderAt
	var err error
	if f.Bytes <= maxWholeBytes {
		s.body, err = store.Get(ctx, f.Path)
		at = bytes.NewReader(s.body)
	} else {
		err = s.fetchTail(ctx)
		at = &s.tail
	}
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", f.Path, err)
	}
	s.file, err = parquet.OpenFile(at, f.Bytes, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", f.Path, err)
	}
	s.leaves = map[int]int{}
	for _, c := range s.file.Root().Columns() {
		if c.Leaf() {
			s.leaves[c.ID()] = c.Index()
		}
	}
	return s, nil
}

// fetchTail fetches the end of the object, all of the footer at least.
func (s *dataFileReader) fetchTail(ctx context.Context) error {
	n := int64(tailBytes)
	for {
		tail, err := s.store.GetRange(ctx, s.Path, s.Bytes-n, n)
		if err != nil {
			return err
		}
		if int64(len(tail)) != n {
			return fmt.Errorf("end is %d bytes, want %d: %w", len(tail), n, io.ErrUnexpectedEOF)
		}
		s.tail = fetchedRanges{{from: s.Bytes - n, body: tail}}
		footer := int64(binary.LittleEndian.Uint32(tail[n-8:])) + 8
		if footer <= n {
			return nil
		}
		n = min(footer, s.Bytes)
	}
}

// chunks fetches some columns of a row group, by leaf, and returns where to
// read them.
func (s *dataFileReader) chunks(ctx context.Context, group int, leaves []int) (io.ReaderAt, error) {
	if s.body != nil {
		return bytes.NewReader(s.body), nil
	}
	out := s.ranges(group, leaves)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxRangeGets)
	for i := range out {
		g.Go(func() error {
			body, err := s.store.GetRange(ctx, s.Path, out[i].from, out[i].size)
			if err != nil {
				return fmt.Errorf("read data file %s: %w", s.Path, err)
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

// ranges are where the columns of a row group lie, those that lie close put
// together.
func (s *dataFileReader) ranges(group int, leaves []int) fetchedRanges {
	columns := s.file.Metadata().RowGroups[group].Columns
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

// ReadAt reads what lies in one span; anything else is the end.
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
