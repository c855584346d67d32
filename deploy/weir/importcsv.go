package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxCSVRecord bounds one record of a CSV file; bytes. An event is at most half a
// MiB, twice that with doubled quotes, and a file may have columns that weir import
// does not read.
const maxCSVRecord = 16 << 20

// csvReader reads records of RFC 4180 exactly as they were written. encoding/csv
// makes LF of a CRLF inside quotes, which would change a stack trace.
type csvReader struct {
	in   *bufio.Reader
	line int    // of the next byte, from 1
	last byte   // that was read
	text []byte // the fields of the record, one after the other
	ends []int  // where each field ends in text
}

func newCSVReader(in *bufio.Reader) *csvReader { return &csvReader{in: in, line: 1} }

// errCSV is a file that is no CSV from some line on: what follows cannot be read.
var errCSV = errors.New("not a CSV file of RFC 4180")

// read returns the fields of the next record, which are valid until the next call,
// and the line on which it begins. At the end of the file it returns io.EOF.
func (c *csvReader) read() (fields [][]byte, line int, err error) {
	c.text, c.ends, line = c.text[:0], c.ends[:0], c.line
	if _, err := c.in.Peek(1); err != nil {
		return nil, line, err
	}
	for last := false; !last; {
		if last, err = c.readField(); err != nil {
			return nil, line, fmt.Errorf("line %d: %w", c.line, err)
		}
		c.ends = append(c.ends, len(c.text))
	}
	start := 0
	for _, end := range c.ends {
		fields = append(fields, c.text[start:end:end])
		start = end
	}
	return fields, line, nil
}

// readField appends one field to text and reports whether it ends the record.
func (c *csvReader) readField() (last bool, err error) {
	first, err := c.in.Peek(1)
	if err != nil {
		return true, ignoreEOF(err)
	}
	if first[0] == '"' {
		return c.readQuoted()
	}
	for start := len(c.text); ; {
		b, err := c.readByte()
		switch {
		case err != nil:
			return true, ignoreEOF(err)
		case b == ',':
			return false, nil
		case b == '\n':
			c.text = c.text[:start+len(bytes.TrimSuffix(c.text[start:], []byte("\r")))]
			return true, nil
		case b == '"':
			return false, fmt.Errorf("%w: a quote in a field that does not begin with one", errCSV)
		}
		c.text = append(c.text, b)
	}
}

// readQuoted appends a field that begins with a quote.
func (c *csvReader) readQuoted() (last bool, err error) {
	_, _ = c.in.ReadByte() // the quote, which was peeked at
	for {
		b, err := c.readByte()
		if errors.Is(err, io.EOF) {
			return false, fmt.Errorf("%w: the file ends inside quotes", errCSV)
		}
		if err != nil {
			return false, err
		}
		if b != '"' {
			c.text = append(c.text, b)
			continue
		}
		next, err := c.readByte()
		if err != nil {
			return true, ignoreEOF(err)
		}
		if next == '\r' {
			if next, err = c.readByte(); err != nil || next != '\n' {
				return false, fmt.Errorf("%w: text after the closing quote of a field", errCSV)
			}
		}
		switch next {
		case '"':
			c.text = append(c.text, '"')
		case ',':
			return false, nil
		case '\n':
			return true, nil
		default:
			return false, fmt.Errorf("%w: text after the closing quote of a field", errCSV)
		}
	}
}

// readByte reads a byte, counts lines, and refuses a record that is too long.
func (c *csvReader) readByte() (byte, error) {
	b, err := c.in.ReadByte()
	if err == nil {
		c.last = b
	}
	if err == nil && b == '\n' {
		c.line++
	}
	if err == nil && len(c.text) > maxCSVRecord {
		return 0, fmt.Errorf("%w: a record is longer than %d bytes", errCSV, maxCSVRecord)
	}
	return b, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
