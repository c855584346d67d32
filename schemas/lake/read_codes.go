package lake

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding"
)

// codeReader reads values as codes of a dictionary that the whole row group
// shares. Values of pages that have none are coded here.
type codeReader struct {
	flatReader[int32] // of the codes

	words  words       // values of codes
	loaded bool        // the chunk's dictionary is in words, with its own codes
	values arrow.Array // words as an array; nil before the first
}

// words are values by code.
type words interface {
	len() int
	// load adds n values, whatever is there.
	load(of encoding.Values, n int)
	// code puts the codes of values of into to, from one on. New ones are added.
	code(to []int32, of encoding.Values, from int)
	array(mem memory.Allocator) arrow.Array
}

func newCodeReader(c *cursor, as arrow.DataType, valid validity) *codeReader {
	r := &codeReader{words: &texts{}}
	if valueType(as).ID() == arrow.INT64 {
		r.words = &numbers{}
	}
	r.flatReader = flatReader[int32]{cursor: c, as: as, valid: valid, fill: r.codes, cast: arrow.Int32Traits.CastFromBytes, width: arrow.Int32SizeBytes}
	return r
}

// codes puts the codes of the values of p into to.
func (r *codeReader) codes(to []int32, p piece) error {
	if err := r.load(); err != nil {
		return err
	}
	if r.page.Dictionary() == nil {
		r.words.code(to, r.data, p.dense)
		return nil
	}
	copy(to, r.data.Int32()[p.dense:])
	return nil
}

// load makes the codes of the chunk's dictionary ours, before any other.
func (r *codeReader) load() error {
	if r.loaded {
		return nil
	}
	r.loaded = true
	dict, err := r.pages.ReadDictionary()
	if err != nil {
		return fmt.Errorf("read dictionary: %w", err)
	}
	if dict != nil {
		r.words.load(dict.Page().Data(), dict.Len())
	}
	return nil
}

func (r *codeReader) array() arrow.Array {
	if r.values == nil || r.values.Len() < r.words.len() {
		r.dropValues()
		r.values = r.words.array(r.valid.mem)
	}
	codes := r.out
	r.out = nil
	indices := newArray(arrow.PrimitiveTypes.Int32, &r.valid, codes)
	defer indices.Release()
	return array.NewDictionaryArray(r.as, indices, r.values)
}

func (r *codeReader) dropValues() {
	if r.values != nil {
		r.values.Release()
		r.values = nil
	}
}

func (r *codeReader) close() error {
	r.dropValues()
	return r.flatReader.close()
}

// texts are words of strings.
type texts struct {
	list [][]byte
	of   map[string]int32 // code of each; nil until a page needs it
}

func (t *texts) len() int { return len(t.list) }

func (t *texts) load(of encoding.Values, n int) {
	raw, at := byteArrays(of)
	for i := range n {
		t.list = append(t.list, raw[at[i]:at[i+1]])
	}
}

func (t *texts) code(to []int32, of encoding.Values, from int) {
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

func (t *texts) array(mem memory.Allocator) arrow.Array {
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

// numbers are words of integers.
type numbers struct {
	list []int64
	of   map[int64]int32 // code of each; nil until a page needs it
}

func (w *numbers) len() int { return len(w.list) }

func (w *numbers) load(of encoding.Values, n int) { w.list = append(w.list, of.Int64()[:n]...) }

func (w *numbers) code(to []int32, of encoding.Values, from int) {
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

func (w *numbers) array(mem memory.Allocator) arrow.Array {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.AppendValues(w.list, nil)
	return b.NewArray()
}
