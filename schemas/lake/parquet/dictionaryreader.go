package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding"
)

// dictionaryReader makes dictionary arrays. All arrays of a row group share one
// dictionary; it starts with that of the column chunk, so that most codes are
// copied as they are. Values of pages without codes, as other engines and full
// dictionaries leave them, are looked up and added.
type dictionaryReader struct {
	fixedWidthReader[int32] // of the codes

	values      dictionaryValues // values by code
	loaded      bool             // the chunk's dictionary is in values, under its own codes
	valuesArray arrow.Array      // values as an array; nil before the first
}

// dictionaryValues is a dictionary that grows.
type dictionaryValues interface {
	len() int
	// load adds n values, without a look at whether they are there.
	load(page encoding.Values, n int)
	// code puts the codes of values of page into to, beginning with value
	// number from. New values are added.
	code(to []int32, page encoding.Values, from int)
	array(mem memory.Allocator) arrow.Array
}

// newDictionaryReader returns a reader of arrays of type as, a dictionary of
// strings or of 64-bit integers.
func newDictionaryReader(c *cursor, as arrow.DataType, valid validity) *dictionaryReader {
	r := &dictionaryReader{values: &stringDictionary{}}
	if valueType(as).ID() == arrow.INT64 {
		r.values = &int64Dictionary{}
	}
	r.fixedWidthReader = fixedWidthReader[int32]{cursor: c, as: as, valid: valid, decode: r.codes, cast: arrow.Int32Traits.CastFromBytes, width: arrow.Int32SizeBytes}
	return r
}

// codes puts the codes of the values of p into to.
func (r *dictionaryReader) codes(to []int32, p pageRows) error {
	if err := r.load(); err != nil {
		return err
	}
	if r.page.Dictionary() == nil {
		r.values.code(to, r.data, p.firstValue)
		return nil
	}
	copy(to, r.data.Int32()[p.firstValue:])
	return nil
}

// load adds the values of the chunk's dictionary first, so that their codes
// stay as they are in the pages.
func (r *dictionaryReader) load() error {
	if r.loaded {
		return nil
	}
	r.loaded = true
	dict, err := r.pages.ReadDictionary()
	if err != nil {
		return fmt.Errorf("read dictionary: %w", err)
	}
	if dict != nil {
		r.values.load(dict.Page().Data(), dict.Len())
	}
	return nil
}

// Array returns the rows with the dictionary as it is now. It makes the
// dictionary's array anew only if values were added, so arrays mostly share
// one, by which readers recognise that codes mean the same.
func (r *dictionaryReader) Array() arrow.Array {
	if r.valuesArray == nil || r.valuesArray.Len() < r.values.len() {
		r.releaseValues()
		r.valuesArray = r.values.array(r.valid.mem)
	}
	codes := r.out
	r.out = nil
	indices := newArray(arrow.PrimitiveTypes.Int32, &r.valid, codes)
	defer indices.Release()
	return array.NewDictionaryArray(r.as, indices, r.valuesArray)
}

func (r *dictionaryReader) releaseValues() {
	if r.valuesArray != nil {
		r.valuesArray.Release()
		r.valuesArray = nil
	}
}

func (r *dictionaryReader) Close() error {
	r.releaseValues()
	return r.fixedWidthReader.Close()
}

// stringDictionary is a dictionary of strings.
type stringDictionary struct {
	values [][]byte
	codes  map[string]int32 // code of each; nil until a page without codes needs it
}

func (t *stringDictionary) len() int { return len(t.values) }

// load keeps the values in the memory of the dictionary page, which lives as
// long as the column's reader.
func (t *stringDictionary) load(page encoding.Values, n int) {
	raw, offsets := byteArrays(page)
	for i := range n {
		t.values = append(t.values, raw[offsets[i]:offsets[i+1]])
	}
}

// code copies only values that are new.
func (t *stringDictionary) code(to []int32, page encoding.Values, from int) {
	if t.codes == nil {
		t.codes = map[string]int32{}
		for i, v := range t.values {
			t.codes[string(v)] = int32(i)
		}
	}
	raw, offsets := byteArrays(page)
	for i := range to {
		v := raw[offsets[from+i]:offsets[from+i+1]]
		code, known := t.codes[string(v)]
		if !known {
			code = int32(len(t.values))
			own := append([]byte(nil), v...)
			t.codes[string(own)], t.values = code, append(t.values, own)
		}
		to[i] = code
	}
}

func (t *stringDictionary) array(mem memory.Allocator) arrow.Array {
	b := array.NewStringBuilder(mem)
	defer b.Release()
	b.Reserve(len(t.values))
	size := 0
	for _, v := range t.values {
		size += len(v)
	}
	b.ReserveData(size)
	for _, v := range t.values {
		b.BinaryBuilder.Append(v)
	}
	return b.NewArray()
}

// int64Dictionary is a dictionary of integers.
type int64Dictionary struct {
	values []int64
	codes  map[int64]int32 // code of each; nil until a page without codes needs it
}

func (w *int64Dictionary) len() int { return len(w.values) }

func (w *int64Dictionary) load(page encoding.Values, n int) {
	w.values = append(w.values, page.Int64()[:n]...)
}

func (w *int64Dictionary) code(to []int32, page encoding.Values, from int) {
	if w.codes == nil {
		w.codes = map[int64]int32{}
		for i, v := range w.values {
			w.codes[v] = int32(i)
		}
	}
	for i, v := range page.Int64()[from : from+len(to)] {
		code, known := w.codes[v]
		if !known {
			code = int32(len(w.values))
			w.codes[v], w.values = code, append(w.values, v)
		}
		to[i] = code
	}
}

func (w *int64Dictionary) array(mem memory.Allocator) arrow.Array {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.AppendValues(w.values, nil)
	return b.NewArray()
}
