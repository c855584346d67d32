package parquet

import (
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

// fetchEnd fetches a small object whole, of a large one at least all of the
// footer.
func (f *File) fetchEnd(ctx context.Context) (fetchedRanges, error) {
	n := int64(tailBytes)
	if f.size <= maxWholeBytes {
		n = f.size
	}
	for {
		end, err := f.fetchRange(ctx, byteRange{from: f.size - n, size: n})
		if err != nil {
			return nil, err
		}
		if n < minFileBytes {
			return nil, fmt.Errorf("object has %d bytes: %w", n, io.ErrUnexpectedEOF)
		}
		f.footerBytes = int64(binary.LittleEndian.Uint32(end[0].body[n-8:])) + 8
		if f.footerBytes <= n || n == f.size {
			return end, nil
		}
		n = min(f.footerBytes, f.size)
	}
}

// minFileBytes is the size of a file's first and last bytes without a footer.
const minFileBytes = 12

// fetchRange fetches a part of the object; of a small object all of it, which
// is one entry of the cache instead of many.
func (f *File) fetchRange(ctx context.Context, r byteRange) (fetchedRanges, error) {
	var err error
	if f.size <= maxWholeBytes {
		r = byteRange{size: f.size}
		r.body, err = f.store.Get(ctx, f.key)
	} else {
		r.body, err = f.store.GetRange(ctx, f.key, r.from, r.size)
	}
	if err == nil && int64(len(r.body)) != r.size {
		err = fmt.Errorf("bytes from %d on are %d, want %d: %w", r.from, len(r.body), r.size, io.ErrUnexpectedEOF)
	}
	return fetchedRanges{r}, err
}

// Fetch fetches those pages of some columns of a row group that have one of rows,
// which ascend. Pages that the file has no index of come all.
func (f *File) Fetch(ctx context.Context, group int, fields []int, rows []RowRange) (*RowGroup, error) {
	g := &RowGroup{file: f, index: group, chunks: f.file.RowGroups()[group].ColumnChunks(), places: map[int]*parquet.FileOffsetIndex{}}
	return g, g.Fetch(ctx, fields, rows)
}

// Fetch fetches more columns, or more pages of columns.
func (g *RowGroup) Fetch(ctx context.Context, fields []int, rows []RowRange) error {
	var wanted fetchedRanges
	sparse := len(rows) != 1 || int64(rows[0].N) < g.Rows()
	for _, leaf := range g.file.leaves(fields) {
		var places *parquet.FileOffsetIndex
		if sparse {
			var err error
			if places, err = g.file.pagePlaces(ctx, g.index, leaf); err != nil {
				return err
			}
		}
		g.places[leaf] = places
		wanted = append(wanted, g.file.pageRanges(g.index, leaf, places, rows)...)
	}
	wanted = joined(wanted)
	if g.file.size <= maxWholeBytes && len(wanted) > 0 {
		wanted = fetchedRanges{{size: g.file.size}}
	}
	if err := g.file.fetchAll(ctx, wanted); err != nil {
		return fmt.Errorf("read data file %s: %w", g.file.key, err)
	}
	g.fetched = append(g.fetched, wanted...)
	return nil
}

// fetchAll fetches ranges.
func (f *File) fetchAll(ctx context.Context, ranges fetchedRanges) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxRangeGets)
	for i := range ranges {
		g.Go(func() error {
			got, err := f.fetchRange(ctx, ranges[i])
			if err == nil {
				ranges[i] = got[0]
			}
			return err
		})
	}
	return g.Wait()
}

// pageRanges returns where the dictionary of a column lies, and its pages that
// have one of rows; all of it where places is nil.
func (f *File) pageRanges(group, leaf int, places *parquet.FileOffsetIndex, rows []RowRange) fetchedRanges {
	m := &f.file.Metadata().RowGroups[group].Columns[leaf].MetaData
	if places == nil {
		from := m.DataPageOffset
		if m.DictionaryPageOffset > 0 {
			from = min(from, m.DictionaryPageOffset)
		}
		return fetchedRanges{{from: from, size: m.TotalCompressedSize}}
	}
	var out fetchedRanges
	if first := places.Offset(0); m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < first {
		out = append(out, byteRange{from: m.DictionaryPageOffset, size: first - m.DictionaryPageOffset})
	}
	for i := range places.NumPages() {
		from, to := places.FirstRowIndex(i), f.Rows(group)
		if i+1 < places.NumPages() {
			to = places.FirstRowIndex(i + 1)
		}
		if anyRow(rows, int(from), int(to)) {
			out = append(out, byteRange{from: places.Offset(i), size: places.CompressedPageSize(i)})
		}
	}
	return out
}

// joined makes one range of those that lie close: a request costs more than the
// bytes between them.
func joined(all fetchedRanges) fetchedRanges {
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

// ReadAt reads what lies in one range; anything else is the end. Ranges may
// overlap, because what lies between pages is fetched with them.
func (s *fetchedRanges) ReadAt(p []byte, off int64) (int, error) {
	var best []byte
	for i := range *s {
		r := &(*s)[i]
		if off >= r.from && off < r.from+int64(len(r.body)) && len(best) < len(r.body)-int(off-r.from) {
			best = r.body[off-r.from:]
		}
	}
	if best == nil {
		return 0, fmt.Errorf("offset %d was not fetched: %w", off, io.ErrUnexpectedEOF)
	}
	n := copy(p, best)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
