package parquet

import (
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
)

// RowGroup is a row group of which some columns were fetched.
type RowGroup struct {
	file   *File
	index  int         // in the file
	reader io.ReaderAt // of the columns that were fetched
	chunks []parquet.ColumnChunk
}

// File returns the file that the row group is of.
func (g *RowGroup) File() *File { return g.file }

// Rows returns how many rows the row group has.
func (g *RowGroup) Rows() int64 { return g.file.Rows(g.index) }

// ReadInt64s reads a column of integers in full. Rows without a value become 0,
// and false in pass.
func (g *RowGroup) ReadInt64s(field int, pass []bool) (out []int64, err error) {
	chunk, ok := g.chunks[g.file.leaf[field]].(*parquet.FileColumnChunk)
	if !ok {
		return nil, fmt.Errorf("field %d is not of a file", field)
	}
	c := newCursor(chunk, g.reader)
	defer func() {
		if errClose := c.close(); err == nil {
			err = errClose
		}
	}()
	out = make([]int64, g.Rows())
	ints, longs := newInt32Decoder(c), newInt64Decoder(c)
	first := 0 // row of the page in out
	err = c.forEachPage(0, int(g.Rows()), func(p pageRows) error {
		dst := out[first : first+p.rows]
		switch chunk.Type().Kind() {
		case parquet.Int64:
			err = longs.decode(dst[:p.values], p)
		case parquet.Int32:
			values := make([]int32, p.values)
			err = ints.decode(values, p)
			for i, v := range values {
				dst[i] = int64(v)
			}
		default:
			err = fmt.Errorf("field %d is %s, want numbers", field, chunk.Type())
		}
		if err != nil {
			return err
		}
		spreadNulls(dst, p)
		for i, level := range p.levels {
			pass[first+i] = pass[first+i] && level != 0
		}
		first += p.rows
		return nil
	})
	return out, err
}

// OpenColumn returns a reader of a column that was fetched; where the file was
// written before the column was added, it reads nulls. sparse makes it skip
// pages of which no row is read.
func (g *RowGroup) OpenColumn(field int, as arrow.Field, mem memory.Allocator, sparse bool) (ColumnReader, error) {
	leaf, there := g.file.leaf[field]
	if !there {
		if !as.Nullable {
			return nil, fmt.Errorf("the data file has no such column")
		}
		return &nullReader{as: as.Type, mem: mem}, nil
	}
	chunk, ok := g.chunks[leaf].(*parquet.FileColumnChunk)
	if !ok || chunk.Type().Kind() != physicalType(as.Type) {
		return nil, fmt.Errorf("the data file stores it as %s", g.chunks[leaf].Type())
	}
	c := newCursor(chunk, g.reader)
	if sparse {
		c.useOffsetIndex(g.file, chunk)
	}
	out := newColumnReader(c, as.Type, mem)
	if strings, ok := out.(*stringReader); ok && chunk.NumValues() > 0 {
		strings.width = int(g.file.file.Metadata().RowGroups[g.index].Columns[leaf].MetaData.TotalUncompressedSize/chunk.NumValues()) + 1
	}
	return out, nil
}
