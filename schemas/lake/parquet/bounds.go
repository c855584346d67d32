package parquet

import (
	"bytes"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/format"
)

// maxBoundBytes is the longest string that is a bound; longer ones are cut.
const maxBoundBytes = 32

// pageBounds returns a lower and an upper bound of the values of c's page, in
// Parquet's form; nil if the page has no value.
func (c *columnWriter) pageBounds() (low, high []byte) {
	p := &c.page
	switch {
	case p.rows == p.nulls:
		return nil, nil
	case c.encoding.width == arrow.Decimal128SizeBytes:
		return c.decimalBounds()
	case c.encoding.width > 0:
		for _, v := range p.int64s {
			p.low, p.high = min(p.low, v), max(p.high, v)
		}
		return appendLittleEndian(nil, p.low, c.encoding.width), appendLittleEndian(nil, p.high, c.encoding.width)
	case c.encoding.dictionary && !c.plain:
		low, high = c.codeBounds()
	default:
		low, high = c.stringBounds()
	}
	return cutLow(low), cutHigh(high)
}

// codeBounds compares each distinct string of the page once, by its code.
func (c *columnWriter) codeBounds() (low, high []byte) {
	seen := make([]bool, c.dict.size)
	first, last := c.page.codes[0], c.page.codes[0]
	for _, code := range c.page.codes {
		if seen[code] {
			continue
		}
		seen[code] = true
		if c.dict.keys[code] < c.dict.keys[first] {
			first = code
		}
		if c.dict.keys[code] > c.dict.keys[last] {
			last = code
		}
	}
	return []byte(c.dict.keys[first]), []byte(c.dict.keys[last])
}

// stringBounds returns the smallest and the largest of the strings that the page
// has in full.
func (c *columnWriter) stringBounds() (low, high []byte) {
	return extremes(len(c.page.ends)-1, func(i int) []byte { return c.page.data[c.page.ends[i]:c.page.ends[i+1]] }, bytes.Compare)
}

// decimalBounds returns the smallest and the largest decimal of the page.
func (c *columnWriter) decimalBounds() (low, high []byte) {
	const width = arrow.Decimal128SizeBytes
	return extremes(len(c.page.data)/width, func(i int) []byte { return c.page.data[i*width:][:width] }, compareDecimals)
}

// extremes returns copies of the smallest and the largest of n > 0 values. Their
// memory belongs to the page, which is reused.
func extremes(n int, value func(int) []byte, compare func(a, b []byte) int) (low, high []byte) {
	low, high = value(0), value(0)
	for i := range n {
		switch v := value(i); {
		case compare(v, low) < 0:
			low = v
		case compare(v, high) > 0:
			high = v
		}
	}
	return bytes.Clone(low), bytes.Clone(high)
}

// compareDecimals orders decimals in Parquet's form: big-endian, two's
// complement, 16 bytes.
func compareDecimals(a, b []byte) int {
	if a[0]^b[0] >= 0x80 { // one is negative
		return -bytes.Compare(a, b)
	}
	return bytes.Compare(a, b)
}

// cutLow returns a lower bound of text that is not too long: its beginning.
func cutLow(text []byte) []byte {
	if len(text) <= maxBoundBytes {
		return text
	}
	end := maxBoundBytes
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// cutHigh returns an upper bound of text that is not too long: its beginning, in
// which the last character that can be raised is raised. If there is none, it is
// text itself.
func cutHigh(text []byte) []byte {
	cut := cutLow(text)
	if len(cut) == len(text) {
		return text
	}
	for len(cut) > 0 {
		r, size := utf8.DecodeLastRune(cut)
		cut = cut[:len(cut)-size]
		if size == 1 && r == utf8.RuneError {
			continue // no character, so raising it might not be valid text
		}
		if next := nextRune(r); next > r {
			return utf8.AppendRune(bytes.Clone(cut), next)
		}
	}
	return text
}

// nextRune returns the character after r, and r itself after the last one.
func nextRune(r rune) rune {
	switch r {
	case utf8.MaxRune:
		return r
	case 0xD7FF: // surrogates are no characters
		return 0xE000
	}
	return r + 1
}

// boundLess orders bounds of a column of type t: integers and decimals by value,
// strings by their bytes.
func boundLess(t arrow.DataType, a, b []byte) bool {
	switch t.ID() {
	case arrow.INT64, arrow.INT32, arrow.DATE32, arrow.TIMESTAMP:
		return DecodeBound(a) < DecodeBound(b)
	case arrow.DECIMAL128:
		return compareDecimals(a, b) < 0
	default:
		return bytes.Compare(a, b) < 0
	}
}

// boundaryOrder returns how the bounds of the pages of a column of type t are
// ordered, pages without a value left out. Readers search pages of an order
// instead of looking at each.
func boundaryOrder(t arrow.DataType, index *format.ColumnIndex) format.BoundaryOrder {
	up, down, last := true, true, -1
	for i, null := range index.NullPages {
		if null {
			continue
		}
		if last >= 0 {
			low, high := index.MinValues, index.MaxValues
			up = up && !boundLess(t, low[i], low[last]) && !boundLess(t, high[i], high[last])
			down = down && !boundLess(t, low[last], low[i]) && !boundLess(t, high[last], high[i])
		}
		last = i
	}
	switch {
	case up:
		return format.Ascending
	case down:
		return format.Descending
	}
	return format.Unordered
}

// icebergBound returns a bound as Iceberg writes it, which differs from Parquet
// for decimals alone: they take as few bytes as hold the value.
func icebergBound(t arrow.DataType, bound []byte) []byte {
	if t.ID() != arrow.DECIMAL128 {
		return bound
	}
	for len(bound) > 1 && (bound[0] == 0 && bound[1] < 0x80 || bound[0] == 0xff && bound[1] >= 0x80) {
		bound = bound[1:]
	}
	return bound
}
