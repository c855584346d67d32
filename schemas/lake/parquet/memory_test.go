package parquet

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// oneObject is a Store of one object.
type oneObject []byte

func (o oneObject) Get(context.Context, string) ([]byte, error) { return bytes.Clone(o), nil }

func (o oneObject) GetRange(_ context.Context, _ string, off, n int64) ([]byte, error) {
	return bytes.Clone(o[off : off+n]), nil
}

// TestMemoryOfFooters holds Memory to what many open files take, with the places
// of all their pages.
func TestMemoryOfFooters(t *testing.T) {
	const width, groups, copies = 27, 20, 40
	var cols []Column
	var fields []arrow.Field
	for i := range width {
		f := arrow.Field{Name: fmt.Sprint("c", i), Type: arrow.PrimitiveTypes.Int64}
		cols, fields = append(cols, Column{Field: f, Encoding: Delta, Bounds: i%2 == 0}), append(fields, f)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	var refs []RowRef
	for row := range maxRowGroupRows {
		for i := range width {
			b.Field(i).(*array.Int64Builder).Append(int64(row))
		}
		refs = append(refs, RowRef{Row: uint32(row)})
	}
	rec := b.NewRecord()
	e, err := NewEncoder("t", cols, "snappy")
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	e.Begin(&body)
	for range groups {
		if err := e.Bind([]arrow.Record{rec}); err != nil {
			t.Fatal(err)
		}
		if err := e.Write(refs); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Finish(); err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var files []*File
	for range copies {
		f, err := Open(t.Context(), oneObject(body.Bytes()), "f", int64(body.Len()), new(atomic.Int64))
		if err != nil {
			t.Fatal(err)
		}
		for g := range groups {
			for leaf := range width {
				if places, err := f.pagePlaces(t.Context(), g, leaf); err != nil || places == nil {
					t.Fatal(places, err)
				}
			}
		}
		files = append(files, f)
	}
	took := (heap() - before) / copies
	t.Logf("file %d, footer %d, index %d: took %d, Memory %d", body.Len(), files[0].footerBytes, files[0].index.size, took, files[0].Memory())
	if said := files[0].Memory(); took > said || said > 4*took {
		t.Errorf("an open file takes %d bytes, and says %d", took, said)
	}
	runtime.KeepAlive(files)
}
