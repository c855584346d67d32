package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
)

// RowGroup is a row group of which some columns were fetched, of these perhaps
// only some pages.
type RowGroup struct {
	file    *File
	index   int           // in the file
	fetched fetchedRanges // of the columns
	chunks  []parquet.ColumnChunk
	places  map[int]*parquet.FileOffsetIndex // by leaf column: by which pages are skipped; nil where all were fetched
}

// File returns the file that the row group is of.
func (g *RowGroup) File() *File { return g.file }

// Rows returns how many rows the row group has.
func (g *RowGroup) Rows() int64 { return g.file.Rows(g.index) }

// cursor returns a cursor before the first row of a leaf column.
func (g *RowGroup) cursor(leaf int) *cursor {
	chunk := g.file.chunk(g.index, leaf)
	return &cursor{pages: chunk.PagesFrom(&g.fetched), places: g.places[leaf], nullable: chunk.Node().Optional(), decoded: g.file.decoded}
}

// OpenColumn returns a reader of a column that was fetched; where the file was
// written before the column was added, it reads nulls.
func (g *RowGroup) OpenColumn(field int, as arrow.Field, mem memory.Allocator) (ColumnReader, error) {
	leaf, there := g.file.leaf[field]
	if !there {
		if !as.Nullable {
			return nil, fmt.Errorf("the data file has no such column")
		}
		return &nullReader{as: as.Type, mem: mem}, nil
	}
	chunk := g.file.chunk(g.index, leaf)
	if chunk.Type().Kind() != physicalType(as.Type) {
		return nil, fmt.Errorf("the data file stores it as %s", g.chunks[leaf].Type())
	}
	out := newColumnReader(g.cursor(leaf), as.Type, mem)
	if strings, ok := out.(*stringReader); ok && chunk.NumValues() > 0 {
		strings.width = int(g.file.file.Metadata().RowGroups[g.index].Columns[leaf].MetaData.TotalUncompressedSize/chunk.NumValues()) + 1
	}
	return out, nil
}
