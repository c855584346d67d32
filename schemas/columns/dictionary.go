package columns

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// DictionaryBuilder builds a coded column. Arrow's own dictionary builder copies every
// value before it looks it up; this one copies only what is new.
type DictionaryBuilder struct {
	codeByValue map[string]int32 // code of each value; the keys are the coder's own
	valueByCode []string         // value of each code: the keys of of
	lastValue   string           // value of the row before; events of one request are alike
	lastCode    int32            // code of last; −1 before the first
	dictionary  *array.StringBuilder
	codes       *array.Int32Builder
}

// NewDictionaryBuilder returns an empty coder; Release ends it.
func NewDictionaryBuilder(mem memory.Allocator) *DictionaryBuilder {
	return &DictionaryBuilder{
		codeByValue: map[string]int32{}, lastCode: -1,
		dictionary: array.NewStringBuilder(mem), codes: array.NewInt32Builder(mem),
	}
}

// Append appends a row and returns the bytes that its value newly takes.
func (c *DictionaryBuilder) Append(s string) int64 {
	if c.lastCode >= 0 && s == c.lastValue {
		c.codes.Append(c.lastCode)
		return 0
	}
	code, known := c.codeByValue[s]
	if !known {
		return c.appendNew(strings.Clone(s))
	}
	c.lastValue, c.lastCode = c.valueByCode[code], code
	c.codes.Append(code)
	return 0
}

// AppendBytes is Add without making a string of a value that is known.
func (c *DictionaryBuilder) AppendBytes(raw []byte) int64 {
	if c.lastCode >= 0 && string(raw) == c.lastValue {
		c.codes.Append(c.lastCode)
		return 0
	}
	code, known := c.codeByValue[string(raw)]
	if !known {
		return c.appendNew(string(raw))
	}
	c.lastValue, c.lastCode = c.valueByCode[code], code
	c.codes.Append(code)
	return 0
}

func (c *DictionaryBuilder) appendNew(own string) int64 {
	code := int32(len(c.valueByCode))
	c.codeByValue[own], c.valueByCode = code, append(c.valueByCode, own)
	c.dictionary.Append(own)
	c.codes.Append(code)
	c.lastValue, c.lastCode = own, code
	return int64(2*len(own) + 48) // twice: the array's and the map's
}

// AppendNull appends a row without a value.
func (c *DictionaryBuilder) AppendNull() { c.codes.AppendNull() }

// NewArray returns the rows and starts afresh.
func (c *DictionaryBuilder) NewArray() arrow.Array {
	codes, values := c.codes.NewArray(), c.dictionary.NewArray()
	defer codes.Release()
	defer values.Release()
	clear(c.codeByValue)
	clear(c.valueByCode)
	c.valueByCode = c.valueByCode[:0]
	c.lastValue, c.lastCode = "", -1
	return array.NewDictionaryArray(DictionaryType(), codes, values)
}

// Release frees what was gathered and not taken.
func (c *DictionaryBuilder) Release() {
	c.codes.Release()
	c.dictionary.Release()
}
