package lake

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
)

// rowRange is rows of a row group that follow one another.
type rowRange struct{ from, n int }

// filter finds the rows of g that pass, and returns the columns it has read for
// that by field id.
func (g *group) filter() ([]rowRange, map[int][]int64, error) {
	if len(g.predicates) == 0 {
		return []rowRange{{from: 0, n: int(g.rows)}}, nil, nil
	}
	pass := make([]bool, g.rows)
	for i := range pass {
		pass[i] = true
	}
	read := map[int][]int64{}
	for _, p := range g.predicates {
		numbers, err := g.numbers(p.field, pass)
		if err != nil {
			return nil, nil, err
		}
		read[p.field] = numbers
		some := false
		for i, v := range numbers {
			if pass[i] && !p.matches(v) {
				pass[i] = false
			}
			some = some || pass[i]
		}
		if !some {
			return nil, nil, nil
		}
	}
	return rowRanges(pass), read, nil
}

// numbers reads a column of g in full. Rows without a value do not pass.
func (g *group) numbers(field int, pass []bool) (out []int64, err error) {
	chunk, ok := g.chunks[g.src.leaves[field]].(*parquet.FileColumnChunk)
	if !ok {
		return nil, fmt.Errorf("field %d is not of a file", field)
	}
	c := newCursor(chunk, g.reader)
	defer func() {
		if errClose := c.close(); err == nil {
			err = errClose
		}
	}()
	out = make([]int64, g.rows)
	short, long := newInt32Decoder(c), newInt64Decoder(c)
	at := 0
	err = c.forEachPage(0, int(g.rows), func(p pageRows) error {
		to := out[at : at+p.rows]
		switch chunk.Type().Kind() {
		case parquet.Int64:
			err = long.decode(to[:p.values], p)
		case parquet.Int32:
			some := make([]int32, p.values)
			err = short.decode(some, p)
			for i, v := range some {
				to[i] = int64(v)
			}
		default:
			err = fmt.Errorf("field %d is %s, want numbers", field, chunk.Type())
		}
		if err != nil {
			return err
		}
		spreadNulls(to, p)
		for i, level := range p.levels {
			pass[at+i] = pass[at+i] && level != 0
		}
		at += p.rows
		return nil
	})
	return out, err
}

// rowRanges are the rows that pass.
func rowRanges(pass []bool) []rowRange {
	var out []rowRange
	for i := 0; i < len(pass); i++ {
		if !pass[i] {
			continue
		}
		from := i
		for i < len(pass) && pass[i] {
			i++
		}
		out = append(out, rowRange{from: from, n: i - from})
	}
	return out
}

// split splits runs into parts of at most rows rows.
func split(runs []rowRange, rows int) [][]rowRange {
	var out [][]rowRange
	var ranges []rowRange
	space := rows
	for _, r := range runs {
		for r.n > 0 {
			n := min(r.n, space)
			ranges = append(ranges, rowRange{from: r.from, n: n})
			r.from, r.n, space = r.from+n, r.n-n, space-n
			if space == 0 {
				out, ranges, space = append(out, ranges), nil, rows
			}
		}
	}
	if len(ranges) > 0 {
		out = append(out, ranges)
	}
	return out
}

// decodedReader gives out a column that filter has read already.
type decodedReader struct {
	as    arrow.DataType
	valid validity
	from  []int64
	out   *memory.Buffer
}

func (r *decodedReader) begin(rows int) {
	r.valid.begin(rows)
	r.out = memory.NewResizableBuffer(r.valid.mem)
	r.out.Resize(rows * arrow.Int64SizeBytes)
}

func (r *decodedReader) read(row int64, n int) error {
	copy(arrow.Int64Traits.CastFromBytes(r.out.Bytes())[r.valid.filled:], r.from[row:row+int64(n)])
	r.valid.add(pageRows{rows: n, values: n})
	return nil
}

func (r *decodedReader) array() arrow.Array {
	out := r.out
	r.out = nil
	return newArray(r.as, &r.valid, out)
}

func (r *decodedReader) close() error {
	if r.out != nil {
		r.out.Release()
		r.out = nil
	}
	return nil
}

// nullReader is a column that the file was written without.
type nullReader struct {
	as   arrow.DataType
	mem  memory.Allocator
	rows int
}

func (r *nullReader) begin(int)                 { r.rows = 0 }
func (r *nullReader) read(_ int64, n int) error { r.rows += n; return nil }
func (r *nullReader) array() arrow.Array        { return array.MakeArrayOfNull(r.mem, r.as, r.rows) }
func (*nullReader) close() error                { return nil }
