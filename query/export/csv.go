package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
)

// csvChunk is how much CSV is buffered before it is written.
const csvChunk = 64 << 10

// csvEnd ends a record. RFC 4180 requires both bytes.
const csvEnd = "\r\n"

// csvFile is a file that is being written.
type csvFile struct {
	kind    Kind
	w       io.Writer
	buf     []byte
	records int64 // without the header
}

// newCSVFile begins a file with its header.
func newCSVFile(k Kind, w io.Writer) *csvFile {
	return &csvFile{kind: k, w: w, buf: k.appendHeader(make([]byte, 0, 2*csvChunk))}
}

// add adds a record for each of rows that the kind wants and that is in the pass
// of values.
func (c *csvFile) add(ctx context.Context, rows iter.Seq2[arrow.Record, error], values *clientValues) error {
	view := newRowsWith(values)
	for rec, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := view.Bind(rec); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if err := c.addRows(view, 0, view.Rows); err != nil {
			return err
		}
	}
	return nil
}

// addRows adds those of the rows from to to, which is not included.
func (c *csvFile) addRows(rows *Rows, from, to int) error {
	for i := from; i < to; i++ {
		if !rows.inPass(i) || !c.kind.Wants(rows, i) {
			continue
		}
		rows.readClient(i)
		c.records++
		if c.buf = c.kind.appendRecord(c.buf, rows, i); len(c.buf) < csvChunk {
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is buffered.
func (c *csvFile) flush() error {
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

// appendHeader appends the first record of the file.
func (k Kind) appendHeader(dst []byte) []byte {
	for n, f := range k.Fields {
		if n > 0 {
			dst = append(dst, ',')
		}
		start := len(dst)
		dst = closeField(append(dst, f.Name...), start)
	}
	return append(dst, csvEnd...)
}

// appendRecord appends row i of r.
func (k Kind) appendRecord(dst []byte, r *Rows, i int) []byte {
	for n, f := range k.Fields {
		if n > 0 {
			dst = append(dst, ',')
		}
		start := len(dst)
		dst = closeField(f.Append(dst, r, i), start)
	}
	return append(dst, csvEnd...)
}

// HeaderBytes is the length of the first record in bytes.
func (k Kind) HeaderBytes() int64 { return int64(len(k.appendHeader(nil))) }

// closeField turns what was appended to dst since start into one CSV field:
// as it is, or in quotes where RFC 4180 needs them. Nothing else is done to a
// value: what a spreadsheet would take for a formula stays as it was sent,
// because these files are read by programs and a changed value is a wrong one.
func closeField(dst []byte, start int) []byte {
	if !needsQuotes(dst[start:]) {
		return dst
	}
	return quoteTail(dst, start)
}

// needsQuotes reports whether field has a byte that would end a field or a record.
// Nearly all bytes of a text are above the comma, so one comparison decides them.
func needsQuotes(field []byte) bool {
	for _, c := range field {
		if c <= ',' && (c == ',' || c == '"' || c == '\n' || c == '\r') {
			return true
		}
	}
	return false
}

// quoteTail puts dst[start:] in quotes in place. It works from the end, so that no
// byte is overwritten before it has moved.
func quoteTail(dst []byte, start int) []byte {
	quotes := bytes.Count(dst[start:], []byte{'"'})
	from := len(dst) - 1
	for range quotes + 2 {
		dst = append(dst, '"')
	}
	to := len(dst) - 2 // the last byte is the closing quote
	for ; quotes > 0; from-- {
		dst[to] = dst[from]
		to--
		if dst[from] == '"' {
			dst[to] = '"'
			to--
			quotes--
		}
	}
	copy(dst[start+1:to+1], dst[start:from+1])
	dst[start] = '"'
	return dst
}
