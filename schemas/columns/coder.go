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
	of     map[string]int32 // code of each value; the keys are the coder's own
	keys   []string         // value of each code: the keys of of
	last   string           // value of the row before; events of one request are alike
	code   int32            // code of last; −1 before the first
	values *array.StringBuilder
	codes  *array.Int32Builder
}

// NewCoder returns an empty coder; Release ends it.
func NewCoder(mem memory.Allocator) *DictionaryBuilder {
	return &DictionaryBuilder{
		of: map[string]int32{}, code: -1,
		values: array.NewStringBuilder(mem), codes: array.NewInt32Builder(mem),
	}
}

// Add appends a row and returns the bytes that its value newly takes.
func (c *DictionaryBuilder) Add(s string) int64 {
	if c.code >= 0 && s == c.last {
		c.codes.Append(c.code)
		return 0
	}
	code, known := c.of[s]
	if !known {
		return c.addNew(strings.Clone(s))
	}
	c.last, c.code = c.keys[code], code
	c.codes.Append(code)
	return 0
}

// AddBytes is Add without making a string of a value that is known.
func (c *DictionaryBuilder) AddBytes(raw []byte) int64 {
	if c.code >= 0 && string(raw) == c.last {
		c.codes.Append(c.code)
		return 0
	}
	code, known := c.of[string(raw)]
	if !known {
		return c.addNew(string(raw))
	}
	c.last, c.code = c.keys[code], code
	c.codes.Append(code)
	return 0
}

func (c *DictionaryBuilder) addNew(own string) int64 {
	code := int32(len(c.keys))
	c.of[own], c.keys = code, append(c.keys, own)
	c.values.Append(own)
	c.codes.Append(code)
	c.last, c.code = own, code
	return int64(2*len(own) + 48) // twice: the array's and the map's
}

// Null appends a row without a value.
func (c *DictionaryBuilder) Null() { c.codes.AppendNull() }

// NewArray returns the rows and starts afresh.
func (c *DictionaryBuilder) NewArray() arrow.Array {
	codes, values := c.codes.NewArray(), c.values.NewArray()
	defer codes.Release()
	defer values.Release()
	clear(c.of)
	clear(c.keys)
	c.keys = c.keys[:0]
	c.last, c.code = "", -1
	return array.NewDictionaryArray(Coded(), codes, values)
}

// Release frees what was gathered and not taken.
func (c *DictionaryBuilder) Release() {
	c.codes.Release()
	c.values.Release()
}
