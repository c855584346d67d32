package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding"
)

// dictionaryReader reads values as codes of a dictionary that the whole row group
// shares. Values of pages that have none are coded here.
type dictionaryReader struct {
	fixedWidthReader[int32] // of the codes

	values      dictionaryValues // values of codes
	loaded      bool             // the chunk's dictionary is in words, with its own codes
	valuesArray arrow.Array      // words as an array; nil before the first
}

// dictionaryValues are values by code.
type dictionaryValues interface {
	len() int
	// load adds n values, whatever is there.
	load(of encoding.Values, n int)
	// code puts the codes of values of into to, from one on. New ones are added.
	code(to []int32, of encoding.Values, from int)
	array(mem memory.Allocator) arrow.Array
}

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

// load makes the codes of the chunk's dictionary ours, before any other.
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

// stringDictionary are words of strings.
type stringDictionary struct {
	list [][]byte
	of   map[string]int32 // code of each; nil until a page needs it
}

func (t *stringDictionary) len() int { return len(t.list) }

func (t *stringDictionary) load(of encoding.Values, n int) {
	raw, at := byteArrays(of)
	for i := range n {
		t.list = append(t.list, raw[at[i]:at[i+1]])
	}
}

func (t *stringDictionary) code(to []int32, of encoding.Values, from int) {
	if t.of == nil {
		t.of = map[string]int32{}
		for i, v := range t.list {
			t.of[string(v)] = int32(i)
		}
	}
	raw, at := byteArrays(of)
	for i := range to {
		v := raw[at[from+i]:at[from+i+1]]
		code, known := t.of[string(v)]
		if !known {
			code = int32(len(t.list))
			own := append([]byte(nil), v...)
			t.of[string(own)], t.list = code, append(t.list, own)
		}
		to[i] = code
	}
}

func (t *stringDictionary) array(mem memory.Allocator) arrow.Array {
	b := array.NewStringBuilder(mem)
	defer b.Release()
	b.Reserve(len(t.list))
	size := 0
	for _, v := range t.list {
		size += len(v)
	}
	b.ReserveData(size)
	for _, v := range t.list {
		b.BinaryBuilder.Append(v)
	}
	return b.NewArray()
}

// int64Dictionary are words of integers.
type int64Dictionary struct {
	list []int64
	of   map[int64]int32 // code of each; nil until a page needs it
}

func (w *int64Dictionary) len() int { return len(w.list) }

func (w *int64Dictionary) load(of encoding.Values, n int) { w.list = append(w.list, of.Int64()[:n]...) }

func (w *int64Dictionary) code(to []int32, of encoding.Values, from int) {
	if w.of == nil {
		w.of = map[int64]int32{}
		for i, v := range w.list {
			w.of[v] = int32(i)
		}
	}
	for i, v := range of.Int64()[from : from+len(to)] {
		code, known := w.of[v]
		if !known {
			code = int32(len(w.list))
			w.of[v], w.list = code, append(w.list, v)
		}
		to[i] = code
	}
}

func (w *int64Dictionary) array(mem memory.Allocator) arrow.Array {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.AppendValues(w.list, nil)
	return b.NewArray()
}
