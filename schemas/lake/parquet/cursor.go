package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// cursor walks the pages of one column chunk, forward only. It decodes one page
// at a time.
type cursor struct {
	pages    *parquet.FilePages
	places   *parquet.FileOffsetIndex // by which pages are skipped; nil: they are read one after the other
	nullable bool
	decoded  *atomic.Int64 // rows of pages that were read

	page      parquet.Page    // nil before the first
	firstRow  int64           // first row of the page, in the row group
	levels    []byte          // definition levels of the page: 1 has a value, 0 is null; nil if the column is not nullable
	nextRow   int             // next row, in the page
	nextValue int             // value of the next row that has one, in the page
	data      encoding.Values // of the page
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

// nextPage reads the next page, or goes straight to the one that has row: pages
// in between need not have been fetched.
func (c *cursor) nextPage(row int64) error {
	next := int64(0)
	if c.page != nil {
		next = c.firstRow + c.page.NumRows()
	}
	if first := c.pageOf(row); first > next {
		// To the first row of the page, not to row: a page of booleans that is
		// entered in the middle of a byte does not say so.
		if err := c.pages.SeekToRow(first); err != nil {
			return fmt.Errorf("seek to row %d: %w", first, err)
		}
		next = first
	}
	page, err := c.pages.ReadPage()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("read page at row %d: %w", next, err)
	}
	c.releasePage()
	c.decoded.Add(page.NumRows())
	c.page, c.firstRow, c.nextRow, c.nextValue, c.levels = page, next, 0, 0, nil
	c.data = page.Data()
	if c.nullable {
		c.levels = page.DefinitionLevels()
	}
	return nil
}

// pageOf returns the first row of the page that has row; 0 if that is not known.
func (c *cursor) pageOf(row int64) int64 {
	if c.places == nil {
		return 0
	}
	i := sort.Search(c.places.NumPages(), func(i int) bool { return c.places.FirstRowIndex(i) > row })
	return c.places.FirstRowIndex(max(0, i-1))
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
