package lake

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// cursor walks the pages of one column chunk, forward only.
type cursor struct {
	pages    *parquet.FilePages
	seekable bool // pages can be skipped without reading them
	nullable bool

	page   parquet.Page // nil before the first
	first  int64        // row of the group that the page starts at
	levels []byte       // of the page's rows: 1 has a value, 0 has none; nil when all have
	at     int          // row of the page that comes next
	dense  int          // value of the page that comes next
	data   encoding.Values
}

// openCursor starts at the first row of chunk, whose bytes are read from at.
func openCursor(chunk *parquet.FileColumnChunk, at io.ReaderAt) *cursor {
	c := &cursor{pages: chunk.PagesFrom(at)}
	leaf := chunk.Node()
	c.nullable = leaf.Optional()
	// A page of booleans that starts in the middle of a byte does not say so.
	c.seekable = chunk.Type().Kind() != parquet.Boolean
	return c
}

// index makes the cursor skip pages by the offset index at the end of s.
func (c *cursor) index(s *source, chunk *parquet.FileColumnChunk) {
	if !c.seekable {
		return
	}
	var at io.ReaderAt = &s.tail
	if s.body != nil {
		at = bytes.NewReader(s.body)
	}
	if _, err := chunk.OffsetIndexFrom(at); err != nil {
		c.seekable = false // absent, or before what was fetched: read page by page
	}
}

// piece is rows of one page.
type piece struct {
	rows   int
	levels []byte // nil when every row has a value
	values int    // how many rows have a value
	dense  int    // the first of them in the page's data
}

// each calls f for rows [row, row+n) of the group, page by page.
func (c *cursor) each(row int64, n int, f func(p piece) error) error {
	for n > 0 {
		if err := c.moveTo(row); err != nil {
			return err
		}
		p := piece{rows: min(n, int(c.page.NumRows())-c.at), dense: c.dense}
		p.values = p.rows
		if c.levels != nil {
			p.levels = c.levels[c.at : c.at+p.rows]
			p.values = bytes.Count(p.levels, []byte{1})
			if p.values == p.rows {
				p.levels = nil
			}
		}
		if err := f(p); err != nil {
			return err
		}
		c.at += p.rows
		c.dense += p.values
		row += int64(p.rows)
		n -= p.rows
	}
	return nil
}

// moveTo brings the cursor to row, which is not before it.
func (c *cursor) moveTo(row int64) error {
	for c.page == nil || row >= c.first+c.page.NumRows() {
		if err := c.turn(row); err != nil {
			return err
		}
	}
	if skip := int(row-c.first) - c.at; skip > 0 {
		if c.levels != nil {
			c.dense += bytes.Count(c.levels[c.at:c.at+skip], []byte{1})
		} else {
			c.dense += skip
		}
		c.at += skip
	}
	return nil
}

// turn goes to the next page, or to the one that has row where that is far.
func (c *cursor) turn(row int64) error {
	next, far := int64(0), int64(pageBytes/8)
	if c.page != nil {
		next, far = c.first+c.page.NumRows(), c.page.NumRows()
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
	c.drop()
	c.page, c.first, c.at, c.dense, c.levels = page, next, 0, 0, nil
	c.data = page.Data()
	if c.nullable {
		c.levels = page.DefinitionLevels()
	}
	return nil
}

func (c *cursor) drop() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.page, c.data = nil, encoding.Values{}
}

func (c *cursor) close() error {
	c.drop()
	if err := c.pages.Close(); err != nil {
		return fmt.Errorf("close column: %w", err)
	}
	return nil
}
