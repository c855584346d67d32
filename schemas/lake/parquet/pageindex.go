package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxIndexBytes is the largest page index that is read. That of a data file of
// 128 MB has less than 1 MB; a file of another engine that has more is read
// without.
const maxIndexBytes = 16 << 20

// findIndex finds where the page indexes of all columns lie, which is in one
// place at the end of a file, and keeps them if they are in end.
func (f *File) findIndex(end fetchedRanges) {
	from, to := int64(math.MaxInt64), int64(0)
	for _, g := range f.file.Metadata().RowGroups {
		for i := range g.Columns {
			c := &g.Columns[i]
			for _, part := range []byteRange{{from: c.ColumnIndexOffset, size: int64(c.ColumnIndexLength)}, {from: c.OffsetIndexOffset, size: int64(c.OffsetIndexLength)}} {
				if part.from > 0 && part.size > 0 {
					from, to = min(from, part.from), max(to, part.from+part.size)
				}
			}
		}
	}
	if from >= to || to > f.size || to-from > maxIndexBytes {
		return
	}
	f.index = byteRange{from: from, size: to - from}
	if r := &end[0]; r.from <= from && to <= r.from+int64(len(r.body)) {
		f.indexBody = bytes.Clone(r.body[from-r.from : to-r.from])
	}
}

// pageIndex returns a reader of the page indexes, which it fetches if they lie
// before the end that Open fetched; nil if there are none.
func (f *File) pageIndex(ctx context.Context) (*fetchedRanges, error) {
	if f.index.size == 0 {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.indexBody == nil {
		got, err := f.fetchRange(ctx, f.index)
		if err != nil {
			return nil, fmt.Errorf("read page index of data file %s: %w", f.key, err)
		}
		r := &got[0]
		f.indexBody = bytes.Clone(r.body[f.index.from-r.from:][:f.index.size])
	}
	return &fetchedRanges{{from: f.index.from, size: f.index.size, body: f.indexBody}}, nil
}

// chunk returns a leaf column of a row group.
func (f *File) chunk(group, leaf int) *parquet.FileColumnChunk {
	c, _ := f.file.RowGroups()[group].ColumnChunks()[leaf].(*parquet.FileColumnChunk) // those of a file are nothing else
	return c
}

// pagePlaces returns where the pages of a column lie; nil where the file does
// not say, or says what cannot be.
func (f *File) pagePlaces(ctx context.Context, group, leaf int) (*parquet.FileOffsetIndex, error) {
	index, err := f.pageIndex(ctx)
	if err != nil || index == nil {
		return nil, err
	}
	places, err := f.chunk(group, leaf).OffsetIndexFrom(index)
	if err != nil || places.NumPages() == 0 || places.FirstRowIndex(0) != 0 {
		return nil, nil //nolint:nilerr // without an index, pages are read one after the other
	}
	for i := 1; i < places.NumPages(); i++ {
		if places.FirstRowIndex(i) <= places.FirstRowIndex(i-1) || places.Offset(i) < places.Offset(i-1)+places.CompressedPageSize(i-1) {
			return nil, nil
		}
	}
	if places.FirstRowIndex(places.NumPages()-1) >= f.Rows(group) {
		return nil, nil
	}
	return places, nil
}

// Page is what the page index says of one page of a column of integers.
type Page struct {
	Rows      RowRange
	Low, High int64 // bounds of the values; only with Bounded
	Bounded   bool
	Nulls     bool // rows may have no value
	Empty     bool // no row has a value
}

// Pages returns the pages of a column of integers, which must be in the file;
// nil where the file has no index of them.
func (f *File) Pages(ctx context.Context, group, field int) ([]Page, error) {
	leaf := f.leaf[field]
	places, err := f.pagePlaces(ctx, group, leaf)
	if err != nil || places == nil {
		return nil, err
	}
	index, err := f.columnIndex(ctx, group, leaf)
	if errors.Is(err, errNoIndex) || (err == nil && len(index.NullPages) != places.NumPages()) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	chunk := f.chunk(group, leaf)
	out := make([]Page, places.NumPages())
	for i := range out {
		to := f.Rows(group)
		if i+1 < len(out) {
			to = places.FirstRowIndex(i + 1)
		}
		from := places.FirstRowIndex(i)
		out[i] = Page{Rows: RowRange{From: int(from), N: int(to - from)}, Nulls: chunk.Node().Optional(), Empty: index.NullPages[i]}
		out[i].bound(chunk.Type().Kind(), index.MinValues[i], index.MaxValues[i])
	}
	return out, nil
}

// bound sets the bounds of a page that has values. What has not the size of its
// type is no bound of an integer.
func (p *Page) bound(kind parquet.Kind, low, high []byte) {
	size := map[parquet.Kind]int{parquet.Int32: 4, parquet.Int64: 8}[kind]
	if p.Empty || size == 0 || len(low) != size || len(high) != size {
		return
	}
	p.Low, p.High, p.Bounded = DecodeBound(low), DecodeBound(high), true
}

// errNoIndex reports a column without an index that can be used.
var errNoIndex = errors.New("column has no page index")

// columnIndex returns the bounds of the pages of a column.
func (f *File) columnIndex(ctx context.Context, group, leaf int) (*format.ColumnIndex, error) {
	c := &f.file.Metadata().RowGroups[group].Columns[leaf]
	at, err := f.pageIndex(ctx)
	if err != nil {
		return nil, err
	}
	if at == nil || c.ColumnIndexOffset == 0 || c.ColumnIndexLength <= 0 {
		return nil, errNoIndex
	}
	body := make([]byte, c.ColumnIndexLength)
	if _, err := at.ReadAt(body, c.ColumnIndexOffset); err != nil {
		return nil, errNoIndex
	}
	out := &format.ColumnIndex{}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), body, out); err != nil {
		return nil, errNoIndex
	}
	if len(out.MinValues) != len(out.NullPages) || len(out.MaxValues) != len(out.NullPages) {
		return nil, errNoIndex
	}
	return out, nil
}
