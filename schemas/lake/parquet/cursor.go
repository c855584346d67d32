package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// cursor walks the pages of one column chunk, forward only. It decodes one page
// at a time.
type cursor struct {
	pages    *parquet.FilePages
	seekable bool // pages can be skipped by the offset index
	nullable bool

	page      parquet.Page    // nil before the first
	firstRow  int64           // first row of the page, in the row group
	levels    []byte          // definition levels of the page: 1 has a value, 0 is null; nil if the column is not nullable
	nextRow   int             // next row, in the page
	nextValue int             // value of the next row that has one, in the page
	data      encoding.Values // of the page
}

// newCursor returns a cursor before the first row of chunk, whose bytes are
// read from at.
func newCursor(chunk *parquet.FileColumnChunk, at io.ReaderAt) *cursor {
	c := &cursor{pages: chunk.PagesFrom(at)}
	leaf := chunk.Node()
	c.nullable = leaf.Optional()
	// A page of booleans that starts in the middle of a byte does not say so.
	c.seekable = chunk.Type().Kind() != parquet.Boolean
	return c
}

// useOffsetIndex makes the cursor skip pages by the offset index at the end of
// f.
func (c *cursor) useOffsetIndex(f *File, chunk *parquet.FileColumnChunk) {
	if !c.seekable {
		return
	}
	var at io.ReaderAt = &f.tail
	if f.body != nil {
		at = bytes.NewReader(f.body)
	}
	if _, err := chunk.OffsetIndexFrom(at); err != nil {
		c.seekable = false // the file has none, or it is before the part that was fetched: read page by page
	}
}

// pageRows is consecutive rows of the cursor's page.
type pageRows struct {
	rows       int
	levels     []byte // definition levels; nil if every row has a value
	values     int    // number of rows that have a value
	firstValue int    // the first of these values, in the page's data
}

// forEachPage calls f for rows [row, row+n) of the row group, page by page.
func (c *cursor) forEachPage(row int64, n int, f func(p pageRows) error) error {
	for n > 0 {
		if err := c.moveTo(row); err != nil {
			return err
		}
		p := pageRows{rows: min(n, int(c.page.NumRows())-c.nextRow), firstValue: c.nextValue}
		p.values = p.rows
		if c.levels != nil {
			p.levels = c.levels[c.nextRow : c.nextRow+p.rows]
			p.values = bytes.Count(p.levels, []byte{1})
			if p.values == p.rows {
				p.levels = nil
			}
		}
		if err := f(p); err != nil {
			return err
		}
		c.nextRow += p.rows
		c.nextValue += p.values
		row += int64(p.rows)
		n -= p.rows
	}
	return nil
}

// moveTo brings the cursor to row, which must not lie before it.
func (c *cursor) moveTo(row int64) error {
	for c.page == nil || row >= c.firstRow+c.page.NumRows() {
		if err := c.nextPage(row); err != nil {
			return err
		}
	}
	if skip := int(row-c.firstRow) - c.nextRow; skip > 0 {
		if c.levels != nil {
			c.nextValue += bytes.Count(c.levels[c.nextRow:c.nextRow+skip], []byte{1})
		} else {
			c.nextValue += skip
		}
		c.nextRow += skip
	}
	return nil
}

// nextPage reads the next page. If row lies more than a page further on and the
// cursor is seekable, it goes straight to the page that has row.
func (c *cursor) nextPage(row int64) error {
	// How many rows the first page has is known only once it is read: until then
	// it is taken for a full page of 64-bit integers.
	next, far := int64(0), int64(maxPageBytes/8)
	if c.page != nil {
		next, far = c.firstRow+c.page.NumRows(), c.page.NumRows()
	}
	if c.seekable && row-next > far {
		if err := c.pages.SeekToRow(row); err != nil {
			return fmt.Errorf("seek to row %d: %w", row, err)
		}
		next = row
	}
	page, err := c.pages.ReadPage()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("read page at row %d: %w", next, err)
	}
	c.releasePage()
	c.page, c.firstRow, c.nextRow, c.nextValue, c.levels = page, next, 0, 0, nil
	c.data = page.Data()
	if c.nullable {
		c.levels = page.DefinitionLevels()
	}
	return nil
}

// releasePage returns the page's buffers to parquet-go. Slices of them are
// invalid from then on.
func (c *cursor) releasePage() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.page, c.data = nil, encoding.Values{}
}

// close frees the page and ends the reading.
func (c *cursor) close() error {
	c.releasePage()
	if err := c.pages.Close(); err != nil {
		return fmt.Errorf("close column: %w", err)
	}
	return nil
}
