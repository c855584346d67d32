package columns

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// dirtyAllocator gives memory that is not zero, as an allocator may.
type dirtyAllocator struct{ memory.Allocator }

func (a dirtyAllocator) Allocate(size int) []byte { return fill(a.Allocator.Allocate(size)) }

func (a dirtyAllocator) Reallocate(size int, b []byte) []byte {
	before := len(b)
	b = a.Allocator.Reallocate(size, b)
	if size > before {
		fill(b[before:])
	}
	return b
}

func fill(b []byte) []byte {
	for i := range b {
		b[i] = 0xa5
	}
	return b
}

// TestArrayBuilders gives the same rows to our builders and to Arrow's: batches of
// several lengths, one after the other, with no nulls, some, or nothing but nulls, at
// the beginning and at the end.
func TestArrayBuilders(t *testing.T) {
	mem := memory.NewCheckedAllocator(dirtyAllocator{memory.DefaultAllocator})
	defer mem.AssertSize(t, 0)
	z, decimals := &zeros{}, &arrow.Decimal128Type{Precision: 38, Scale: 9}
	numbers, values := newNumberBuilder[int64](mem, z, arrow.PrimitiveTypes.Int64), newNumberBuilder[decimal128.Num](mem, z, decimals)
	bools, texts, words := &boolBuilder{columnRows: columnRows{mem: mem, zeros: z}}, newStringBuilder(mem, z), newDictionaryBuilder(mem, z)
	wantNumbers, wantValues := array.NewInt64Builder(mem), array.NewDecimal128Builder(mem, decimals)
	wantBools, wantTexts, wantWords := array.NewBooleanBuilder(mem), array.NewStringBuilder(mem), array.NewStringBuilder(mem)
	appendRow := func(v int64) {
		text := strings.Repeat(fmt.Sprint(v), int(v%5))
		numbers.append(v)
		values.append(decimal128.FromI64(-v))
		bools.append(v%2 == 0)
		texts.append(text)
		words.Append(text)
		wantNumbers.Append(v)
		wantValues.Append(decimal128.FromI64(-v))
		wantBools.Append(v%2 == 0)
		wantTexts.Append(text)
		wantWords.Append(text)
	}
	appendNull := func() {
		numbers.appendNull()
		values.appendNull()
		bools.appendNull()
		texts.appendNull()
		words.AppendNull()
		for _, b := range []array.Builder{wantNumbers, wantValues, wantBools, wantTexts, wantWords} {
			b.AppendNull()
		}
	}
	compare := func(what string, got, want arrow.Array) {
		t.Helper()
		if !array.Equal(got, want) || got.NullN() != want.NullN() {
			t.Fatalf("%s: %s, want %s", what, got, want)
		}
		got.Release()
		want.Release()
	}
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 200 {
		rows := []int{0, 1, 7, 8, 9, 63, 64, 65, 500, 3000}[r.IntN(10)]
		from, to := r.IntN(rows+1), r.IntN(rows+1) // outside of these all rows are null
		if r.IntN(3) == 0 {
			from, to = 0, rows
		}
		sparse := r.IntN(3)
		for i := range rows {
			if i < from || i >= to || r.IntN(3) < sparse {
				appendNull()
			} else {
				appendRow(r.Int64N(1000))
			}
		}
		what := fmt.Sprintf("batch %d, %d rows", n, rows)
		got := numbers.newArray()
		for i, v := range got.(*array.Int64).Int64Values() {
			if got.IsNull(i) && v != 0 {
				t.Fatalf("%s: row %d is null over the value %d, want 0", what, i, v)
			}
		}
		compare(what+", numbers", got, wantNumbers.NewArray())
		compare(what+", decimals", values.newArray(), wantValues.NewArray())
		compare(what+", booleans", bools.newArray(), wantBools.NewArray())
		compare(what+", strings", texts.newArray(), wantTexts.NewArray())
		coded := words.NewArray().(*array.Dictionary)
		for i := range rows {
			if coded.IsValid(i) {
				wantWords.Append(coded.Dictionary().(*array.String).Value(coded.GetValueIndex(i)))
			} else {
				wantWords.AppendNull()
			}
		}
		coded.Release()
		both := wantWords.NewArray()
		compare(what+", dictionary", array.NewSlice(both, int64(rows), int64(2*rows)), array.NewSlice(both, 0, int64(rows)))
		both.Release()
	}
	appendRow(1)
	appendNull()
	for _, b := range []interface{ release() }{numbers, values, bools, texts} {
		b.release()
	}
	words.Release()
	for _, b := range []array.Builder{wantNumbers, wantValues, wantBools, wantTexts, wantWords} {
		b.Release()
	}
}

// BenchmarkArrayBuilders appends batches of three columns: numbers, strings, and
// numbers that are all null.
func BenchmarkArrayBuilders(b *testing.B) {
	const rows, text = 8000, "33c5991a-11ef-2eb7-02b1-000000000001"
	b.Run("ours", func(b *testing.B) {
		z := &zeros{}
		numbers, nulls := newNumberBuilder[int64](memory.DefaultAllocator, z, arrow.PrimitiveTypes.Int64), newNumberBuilder[int64](memory.DefaultAllocator, z, arrow.PrimitiveTypes.Int64)
		texts := newStringBuilder(memory.DefaultAllocator, z)
		b.ReportAllocs()
		for b.Loop() {
			for i := range int64(rows) {
				numbers.append(i)
				texts.append(text)
				nulls.appendNull()
			}
			numbers.newArray().Release()
			texts.newArray().Release()
			nulls.newArray().Release()
		}
	})
	b.Run("arrow", func(b *testing.B) {
		numbers, texts, nulls := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
		b.ReportAllocs()
		for b.Loop() {
			for i := range int64(rows) {
				numbers.Append(i)
				texts.Append(text)
				nulls.AppendNull()
			}
			numbers.NewArray().Release()
			texts.NewArray().Release()
			nulls.NewArray().Release()
		}
	})
}
