package lake

import (
	"bytes"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Sizes of what goes to a column at a time: enough to pay for the call, few
// enough to stay in the cache.
const (
	chunkRows  = 1024
	chunkBytes = 4 << 20
)

// encoder writes data files of one table, one after the other. Its buffers are
// worth keeping. It belongs to one goroutine at a time.
type encoder struct {
	table   Table
	writer  *parquet.Writer
	out     tailWriter
	columns []columnEncoder
	values  []parquet.Value
	numbers []byte // memory of the decimals of a chunk

	rows       int64 // of the file
	groupRows  int64 // of the row group being written
	groupBytes int64 // of its strings
}

// newEncoder returns an encoder of t whose pages are compressed as cfg says.
func newEncoder(t Table, compression string) (*encoder, error) {
	codec, err := parquetCodec(compression)
	if err != nil {
		return nil, err
	}
	options := []parquet.WriterOption{
		parquetSchema(t), parquet.Compression(codec), parquet.PageBufferSize(pageBytes), parquet.WriteBufferSize(0),
	}
	fields := arrowSchema(t).Fields()
	for _, f := range fields {
		if !bounded(f) {
			options = append(options, parquet.SkipPageBounds(f.Name))
		}
	}
	e := &encoder{table: t, values: make([]parquet.Value, chunkRows), numbers: make([]byte, 16*chunkRows)}
	e.writer = parquet.NewWriter(&e.out, options...)
	for i, f := range fields {
		e.columns = append(e.columns, columnEncoder{field: f, index: i, to: e.writer.ColumnWriters()[i]})
	}
	return e, nil
}

// begin starts a data file that is written to out.
func (e *encoder) begin(out io.Writer) {
	e.out = tailWriter{to: out}
	e.writer.Reset(&e.out)
	e.rows, e.groupRows, e.groupBytes = 0, 0, 0
}

// bind makes batches those that rows refer to. They must have the columns of
// the table and stay until the next bind.
func (e *encoder) bind(batches []arrow.Record) error {
	for i := range e.columns {
		c := &e.columns[i]
		c.from = c.from[:0]
		for _, rec := range batches {
			if i >= int(rec.NumCols()) || rec.ColumnName(i) != c.field.Name {
				return fmt.Errorf("batch lacks column %d, %s", i, c.field.Name)
			}
			if err := c.bind(rec.Column(i)); err != nil {
				return fmt.Errorf("column %s: %w", c.field.Name, err)
			}
		}
	}
	return nil
}

// write appends rows of the bound batches.
func (e *encoder) write(rows []rowRef) error {
	for len(rows) > 0 {
		n, size := e.take(rows)
		for i := range e.columns {
			c := &e.columns[i]
			c.fill(e.values[:n], e.numbers, rows[:n])
			if _, err := c.to.WriteRowValues(e.values[:n]); err != nil {
				return fmt.Errorf("write column %s: %w", c.field.Name, err)
			}
		}
		rows = rows[n:]
		e.rows += int64(n)
		e.groupRows += int64(n)
		e.groupBytes += size
		if e.groupRows >= rowGroupRows || e.groupBytes >= rowGroupBytes {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// take is how many rows go to the columns at once, and the bytes of their
// strings.
func (e *encoder) take(rows []rowRef) (n int, size int64) {
	for n < min(len(rows), chunkRows) && size < chunkBytes {
		for i := range e.columns {
			if e.columns[i].texts {
				size += e.columns[i].size(rows[n])
			}
		}
		n++
	}
	return n, size
}

// flush ends the row group.
func (e *encoder) flush() error {
	if err := e.writer.Flush(); err != nil {
		return fmt.Errorf("write row group: %w", err)
	}
	e.groupRows, e.groupBytes = 0, 0
	return nil
}

// finish ends the file and returns its footer, valid until begin.
func (e *encoder) finish() (*format.FileMetaData, error) {
	if err := e.flush(); err != nil {
		return nil, err
	}
	e.out.held = &bytes.Buffer{}
	if err := e.writer.Close(); err != nil {
		return nil, fmt.Errorf("write footer: %w", err)
	}
	meta := e.writer.File().Metadata()
	if err := e.out.endWith(meta); err != nil {
		return nil, fmt.Errorf("write footer: %w", err)
	}
	return meta, nil
}

// release lets go of the batches and of what was written.
func (e *encoder) release() {
	for i := range e.columns {
		clear(e.columns[i].from)
		e.columns[i].from = e.columns[i].from[:0]
	}
	clear(e.values)
	e.begin(io.Discard)
}

// tailWriter counts what goes to a data file, and holds its tail back: the page
// indexes and the footer.
type tailWriter struct {
	to   io.Writer
	size int64
	held *bytes.Buffer // nil until the tail begins
}

func (w *tailWriter) Write(p []byte) (int, error) {
	if w.held != nil {
		return w.held.Write(p)
	}
	n, err := w.to.Write(p)
	w.size += int64(n)
	return n, err
}

// endWith writes the tail with a footer that no longer points at the column
// indexes of unbounded columns: parquet-go writes those with empty strings for
// bounds, by which other readers would skip pages that have what they look for.
func (w *tailWriter) endWith(meta *format.FileMetaData) error {
	for i := range meta.RowGroups {
		chunks := meta.RowGroups[i].Columns
		for j := range chunks {
			if len(chunks[j].MetaData.Statistics.MinValue) == 0 {
				chunks[j].ColumnIndexOffset, chunks[j].ColumnIndexLength = 0, 0
			}
		}
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), meta)
	if err != nil {
		return err
	}
	tail := w.held.Bytes()
	end := tail[len(tail)-8:] // length of the old footer, magic
	old := int(uint32(end[0]) | uint32(end[1])<<8 | uint32(end[2])<<16 | uint32(end[3])<<24)
	body := append(tail[:len(tail)-8-old:len(tail)-8-old], footer...)
	n := len(footer)
	body = append(body, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), 'P', 'A', 'R', '1')
	w.held = nil
	_, err = w.Write(body)
	return err
}
