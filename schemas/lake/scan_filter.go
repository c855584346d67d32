package lake

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
)

// run is rows of a row group that follow one another.
type run struct{ from, n int }

// filter finds the rows of g that pass, and returns the columns it has read for
// that by field id.
func (g *group) filter() ([]run, map[int][]int64, error) {
	if len(g.where) == 0 {
		return []run{{from: 0, n: int(g.rows)}}, nil, nil
	}
	pass := make([]bool, g.rows)
	for i := range pass {
		pass[i] = true
	}
	read := map[int][]int64{}
	for _, p := range g.where {
		numbers, err := g.numbers(p.field, pass)
		if err != nil {
			return nil, nil, err
		}
		read[p.field] = numbers
		some := false
		for i, v := range numbers {
			if pass[i] && !p.holds(v) {
				pass[i] = false
			}
			some = some || pass[i]
		}
		if !some {
			return nil, nil, nil
		}
	}
	return runsOf(pass), read, nil
}

// numbers reads a column of g in full. Rows without a value do not pass.
func (g *group) numbers(field int, pass []bool) (out []int64, err error) {
	chunk, ok := g.chunks[g.src.leaves[field]].(*parquet.FileColumnChunk)
	if !ok {
		return nil, fmt.Errorf("field %d is not of a file", field)
	}
	c := openCursor(chunk, g.at)
	defer func() {
		if errClose := c.close(); err == nil {
			err = errClose
		}
	}()
	out = make([]int64, g.rows)
	short, long := ints(c), longs(c)
	at := 0
	err = c.each(0, int(g.rows), func(p piece) error {
		to := out[at : at+p.rows]
		switch chunk.Type().Kind() {
		case parquet.Int64:
			err = long.fill(to[:p.values], p)
		case parquet.Int32:
			some := make([]int32, p.values)
			err = short.fill(some, p)
			for i, v := range some {
				to[i] = int64(v)
			}
		default:
			err = fmt.Errorf("field %d is %s, want numbers", field, chunk.Type())
		}
		if err != nil {
			return err
		}
		spread(to, p)
		for i, level := range p.levels {
			pass[at+i] = pass[at+i] && level != 0
		}
		at += p.rows
		return nil
	})
	return out, err
}

// runsOf are the rows that pass.
func runsOf(pass []bool) []run {
	var out []run
	for i := 0; i < len(pass); i++ {
		if !pass[i] {
			continue
		}
		from := i
		for i < len(pass) && pass[i] {
			i++
		}
		out = append(out, run{from: from, n: i - from})
	}
	return out
}

// deal splits runs into parts of at most rows rows.
func deal(runs []run, rows int) [][]run {
	var out [][]run
	var part []run
	room := rows
	for _, r := range runs {
		for r.n > 0 {
			n := min(r.n, room)
			part = append(part, run{from: r.from, n: n})
			r.from, r.n, room = r.from+n, r.n-n, room-n
			if room == 0 {
				out, part, room = append(out, part), nil, rows
			}
		}
	}
	if len(part) > 0 {
		out = append(out, part)
	}
	return out
}

// readyReader gives out a column that filter has read already.
type readyReader struct {
	as    arrow.DataType
	valid validity
	from  []int64
	out   *memory.Buffer
}

func (r *readyReader) begin(rows int) {
	r.valid.begin(rows)
	r.out = memory.NewResizableBuffer(r.valid.mem)
	r.out.Resize(rows * arrow.Int64SizeBytes)
}

func (r *readyReader) read(row int64, n int) error {
	copy(arrow.Int64Traits.CastFromBytes(r.out.Bytes())[r.valid.n:], r.from[row:row+int64(n)])
	r.valid.add(piece{rows: n, values: n})
	return nil
}

func (r *readyReader) array() arrow.Array {
	out := r.out
	r.out = nil
	return newArray(r.as, &r.valid, out)
}

func (r *readyReader) close() error {
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
