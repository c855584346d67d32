package lake

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// codedTextBytes is from where on a coded value counts as a text of its own in
// the size of a row group.
const codedTextBytes = 4 << 10

// columnWriter takes rows of one column of the bound batches into pages.
type columnWriter struct {
	field arrow.Field
	form  columnForm
	from  []columnSource // one of each bound batch
	texts bool           // rows may have long strings
	void  bool           // no row of the bound batches has a value
	plain bool           // the page is not coded though the form is: its strings hardly repeat
	page  page           // being gathered
	dict  dictionary     // of the row group, where form is coded
	chunk chunk          // of the row group
}

// columnSource is one column of one batch, taken apart.
type columnSource struct {
	valid  []byte // bits of rows that have a value; nil when all have
	offset int    // of the first row in valid
	void   bool   // no row has a value

	longs   []int64 // longs, timestamps
	ints    []int32 // ints, dates, codes
	nums    []decimal128.Num
	bools   *array.Boolean
	data    []byte  // of strings and binaries; of a coded column of its values
	offsets []int32 // in data, one more than there are values
	mapped  []int32 // code → code in the row group's dictionary, or unmapped
	group   int     // the row group that mapped is of
}

const unmapped = -1

func (s *columnSource) null(row uint32) bool {
	return s.void || (s.valid != nil && bitutil.BitIsNotSet(s.valid, s.offset+int(row)))
}

// value is string number i of data.
func (s *columnSource) value(i int32) []byte { return s.data[s.offsets[i]:s.offsets[i+1]] }

// unbind lets go of the bound batches.
func (c *columnWriter) unbind() {
	clear(c.from)
	c.from, c.texts, c.void = c.from[:0], false, true
}

// bind adds a batch's column to from.
func (c *columnWriter) bind(col arrow.Array) error {
	if !arrow.TypeEqual(col.DataType(), c.field.Type) {
		return fmt.Errorf("type %s, want %s", col.DataType(), c.field.Type)
	}
	if !c.field.Nullable && col.NullN() > 0 {
		return fmt.Errorf("%d rows lack a value", col.NullN())
	}
	s := columnSource{offset: col.Data().Offset(), void: col.NullN() == col.Len()}
	if col.NullN() > 0 {
		s.valid = col.NullBitmapBytes()
	}
	if !s.void {
		c.void = false
		c.bindValues(&s, col)
	}
	c.from = append(c.from, s)
	return nil
}

func (c *columnWriter) bindValues(s *columnSource, col arrow.Array) {
	switch a := col.(type) {
	case *array.Int64, *array.Timestamp:
		s.longs = arrow.Int64Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[s.offset : s.offset+a.Len()]
	case *array.Int32, *array.Date32:
		s.ints = arrow.Int32Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[s.offset : s.offset+a.Len()]
	case *array.Boolean:
		s.bools = a
	case *array.Decimal128:
		s.nums = a.Values()
	case *array.String:
		s.data, s.offsets, c.texts = stringBytes(a), a.ValueOffsets(), true
	case *array.Binary:
		s.data, s.offsets, c.texts = stringBytes(a), a.ValueOffsets(), true
	case *array.Dictionary:
		codes, _ := a.Indices().(*array.Int32)
		values, _ := a.Dictionary().(*array.String) // bind has compared the types
		s.ints, s.data, s.offsets = codes.Int32Values(), stringBytes(values), values.ValueOffsets()
		s.mapped = make([]int32, values.Len())
		c.texts = c.texts || len(s.data) > codedTextBytes
	}
}

// stringBytes is what the offsets of a string or binary array count in; there
// may be none when all strings are empty.
func stringBytes(a arrow.Array) []byte {
	if buf := a.Data().Buffers()[2]; buf != nil {
		return buf.Bytes()
	}
	return nil
}

// size is what a row's string adds to the row group.
func (c *columnWriter) size(r rowRef) int64 {
	s := &c.from[r.batch]
	if s.null(r.row) {
		return 0
	}
	if s.mapped == nil {
		return int64(s.offsets[r.row+1] - s.offsets[r.row])
	}
	code := s.ints[r.row]
	if n := s.offsets[code+1] - s.offsets[code]; n >= codedTextBytes {
		return int64(n)
	}
	return 0
}

// append takes rows into the page. group numbers the row group.
func (c *columnWriter) append(rows []rowRef, group int) {
	p := &c.page
	p.rows += len(rows)
	switch {
	case c.void:
		p.absent(len(rows))
	case c.field.Type.ID() == arrow.DICTIONARY:
		c.appendCodes(rows, group)
	case c.form.coded && c.form.width == 0 && !c.plain:
		c.appendCodedTexts(rows)
	case c.field.Type.ID() == arrow.BOOL:
		c.appendBools(rows)
	case c.field.Type.ID() == arrow.DECIMAL128:
		c.appendDecimals(rows)
	case c.form.width == 0:
		c.appendTexts(rows)
	case c.form.width == 4:
		for _, r := range rows {
			c.appendNumber(int64(c.from[r.batch].ints[r.row]))
		}
	default:
		c.appendLongs(rows)
	}
}

func (c *columnWriter) appendLongs(rows []rowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.from[r.batch]
		if c.field.Nullable {
			if s.null(r.row) {
				p.absent(1)
				continue
			}
			p.levels = append(p.levels, 1)
		}
		if c.form.coded {
			c.appendNumber(s.longs[r.row])
			continue
		}
		p.longs = append(p.longs, s.longs[r.row])
	}
}

// appendNumber appends the code of a number. Sorted rows have the same one many
// times over.
func (c *columnWriter) appendNumber(v int64) {
	d := &c.dict
	if d.n == 0 || v != d.last {
		code, known := d.numbers[v]
		if !known {
			code = d.n
			d.numbers[v] = code
			d.n++
			d.values = appendLittleEndian(d.values, v, c.form.width)
		}
		d.last, d.code = v, code
	}
	c.page.low, c.page.high = min(c.page.low, v), max(c.page.high, v)
	c.page.codes = append(c.page.codes, d.code)
}

// appendCodes appends the codes that the row group gives to coded values.
func (c *columnWriter) appendCodes(rows []rowRef, group int) {
	p := &c.page
	for _, r := range rows {
		s := &c.from[r.batch]
		if c.field.Nullable {
			if s.null(r.row) {
				p.absent(1)
				continue
			}
			p.levels = append(p.levels, 1)
		}
		if s.group != group {
			s.group = group
			for i := range s.mapped {
				s.mapped[i] = unmapped
			}
		}
		at := s.ints[r.row]
		code := s.mapped[at]
		if code == unmapped {
			code = c.dict.text(s.value(at))
			s.mapped[at] = code
		}
		p.codes = append(p.codes, code)
	}
}

// appendCodedTexts gives codes to strings that have none; sorted rows have the
// same one many times over.
func (c *columnWriter) appendCodedTexts(rows []rowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			p.absent(1)
			continue
		}
		if c.field.Nullable {
			p.levels = append(p.levels, 1)
		}
		raw := s.value(int32(r.row))
		if c.dict.n == 0 || string(raw) != c.dict.lastText {
			c.dict.code = c.dict.text(raw)
			c.dict.lastText = c.dict.keys[c.dict.code]
		}
		p.codes = append(p.codes, c.dict.code)
	}
}

func (c *columnWriter) appendTexts(rows []rowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			p.absent(1)
			continue
		}
		if c.field.Nullable {
			p.levels = append(p.levels, 1)
		}
		p.raw = append(p.raw, s.value(int32(r.row))...)
		p.ends = append(p.ends, uint32(len(p.raw)))
	}
}

// appendDecimals appends numbers as Parquet keeps them: big-endian.
func (c *columnWriter) appendDecimals(rows []rowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			p.absent(1)
			continue
		}
		if c.field.Nullable {
			p.levels = append(p.levels, 1)
		}
		n := s.nums[r.row]
		p.raw = binary.BigEndian.AppendUint64(p.raw, uint64(n.HighBits()))
		p.raw = binary.BigEndian.AppendUint64(p.raw, n.LowBits())
	}
}

func (c *columnWriter) appendBools(rows []rowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			p.absent(1)
			continue
		}
		p.levels = append(p.levels, 1)
		if p.bits%8 == 0 {
			p.raw = append(p.raw, 0)
		}
		if s.bools.Value(int(r.row)) {
			p.raw[p.bits/8] |= 1 << (p.bits % 8)
		}
		p.bits++
	}
}

func appendLittleEndian(to []byte, v int64, width int) []byte {
	if width == 4 {
		return binary.LittleEndian.AppendUint32(to, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(to, uint64(v))
}
