package columns

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// DictionaryBuilder builds a dictionary-encoded string column. Arrow's own builder
// copies every value before it looks it up; this one copies only new values, and
// compares with the previous row before it hashes: 21 to 40 ns a row against Arrow's
// 81 to 125 ns on two busy cores (BenchmarkDictionaryBuilder,
// BenchmarkArrowDictionaryBuilder).
type DictionaryBuilder struct {
	codeByValue map[string]int32 // the keys are copies owned by the builder
	valueByCode []string         // the keys of codeByValue
	lastValue   string           // value of the previous row: events of one request often have the same
	lastCode    int32            // code of lastValue; −1 before the first row
	dictionary  *stringBuilder
	codes       *numberBuilder[int32]
}

// NewDictionaryBuilder returns an empty builder; the caller ends it by Release.
func NewDictionaryBuilder(mem memory.Allocator) *DictionaryBuilder {
	return newDictionaryBuilder(mem, &zeros{})
}

func newDictionaryBuilder(mem memory.Allocator, z *zeros) *DictionaryBuilder {
	return &DictionaryBuilder{
		codeByValue: map[string]int32{}, lastCode: -1,
		dictionary: newStringBuilder(mem, z), codes: newNumberBuilder[int32](mem, z, arrow.PrimitiveTypes.Int32),
	}
}

// Append appends a row and returns the bytes of the copy that it keeps of a new value.
func (c *DictionaryBuilder) Append(s string) int64 {
	if c.lastCode >= 0 && s == c.lastValue {
		c.codes.append(c.lastCode)
		return 0
	}
	code, known := c.codeByValue[s]
	if !known {
		return c.appendNew(strings.Clone(s))
	}
	c.lastValue, c.lastCode = c.valueByCode[code], code
	c.codes.append(code)
	return 0
}

// AppendBytes is Append without allocating a string for a known value.
func (c *DictionaryBuilder) AppendBytes(raw []byte) int64 {
	if c.lastCode >= 0 && string(raw) == c.lastValue {
		c.codes.append(c.lastCode)
		return 0
	}
	code, known := c.codeByValue[string(raw)]
	if !known {
		return c.appendNew(string(raw))
	}
	c.lastValue, c.lastCode = c.valueByCode[code], code
	c.codes.append(code)
	return 0
}

func (c *DictionaryBuilder) appendNew(own string) int64 {
	code := int32(len(c.valueByCode))
	c.codeByValue[own], c.valueByCode = code, append(c.valueByCode, own)
	c.dictionary.append(own)
	c.codes.append(code)
	c.lastValue, c.lastCode = own, code
	return int64(len(own) + 8) // the copy in the map; the one in the array is of the allocator
}

// kept returns the memory of the map and the list of its keys, which stays when
// the rows have gone.
func (c *DictionaryBuilder) kept() int64 { return int64(cap(c.valueByCode)) * 64 }

// AppendNull appends a null row.
func (c *DictionaryBuilder) AppendNull() { c.codes.appendNull() }

// NewArray returns the rows and resets the builder.
func (c *DictionaryBuilder) NewArray() arrow.Array {
	codes, values := c.codes.newArray(), c.dictionary.newArray()
	defer codes.Release()
	defer values.Release()
	clear(c.codeByValue)
	clear(c.valueByCode)
	c.valueByCode = c.valueByCode[:0]
	c.lastValue, c.lastCode = "", -1
	return array.NewDictionaryArray(DictionaryType(), codes, values)
}

// Release frees the rows that NewArray did not return.
func (c *DictionaryBuilder) Release() {
	c.codes.release()
	c.dictionary.release()
}
