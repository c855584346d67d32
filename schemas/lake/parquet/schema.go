package parquet

import (
	"reflect"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Encoding says how the values of a column lie in data pages.
type Encoding int

// Encodings of columns.
const (
	Plain      Encoding = iota
	Dictionary          // codes of a dictionary that each row group has for the column
	Delta               // differences from one number to the next, packed to the bit
)

// Column is one column of the data files of a table. Its position + 1 is its
// field id.
type Column struct {
	arrow.Field

	Encoding Encoding
	Bounds   bool // pages, row groups and files have a lower and an upper bound
	Bloom    bool // row groups have a bloom filter; of plain strings only
	SortKey  int  // 1 of the column that rows are sorted by first, 2 of the next; 0 of all others
}

// sortingColumns returns the order of rows as a row group declares it.
func sortingColumns(columns []Column) []format.SortingColumn {
	var out []format.SortingColumn
	for {
		i := slices.IndexFunc(columns, func(c Column) bool { return c.SortKey == len(out)+1 })
		if i < 0 {
			return out
		}
		out = append(out, format.SortingColumn{ColumnIdx: int32(i), NullsFirst: true})
	}
}

// newSchema returns the Parquet schema of a table, with field ids and encodings.
func newSchema(name string, columns []Column) *parquet.Schema {
	var root orderedGroup
	for i := range columns {
		c := &columns[i]
		node := newNode(c)
		if c.Nullable {
			node = parquet.Optional(node)
		}
		root.fields = append(root.fields, &orderedField{Node: parquet.FieldID(node, i+1), name: c.Name})
	}
	return parquet.NewSchema(name, &root)
}

// newNode returns the schema node of a column, without saying whether it is
// nullable.
func newNode(c *Column) parquet.Node {
	switch c.Encoding {
	case Dictionary:
		return parquet.Encoded(newLeaf(c.Type), &parquet.RLEDictionary)
	case Delta:
		return parquet.Encoded(newLeaf(c.Type), &parquet.DeltaBinaryPacked)
	default:
		return newLeaf(c.Type)
	}
}

// newLeaf returns the Parquet type that stores values of the Arrow type t.
func newLeaf(t arrow.DataType) parquet.Node {
	switch t := t.(type) {
	case *arrow.Int64Type:
		return parquet.Leaf(parquet.Int64Type)
	case *arrow.Int32Type:
		return parquet.Leaf(parquet.Int32Type)
	case *arrow.Date32Type:
		return parquet.Date()
	case *arrow.TimestampType:
		return parquet.Timestamp(parquet.Microsecond)
	case *arrow.BooleanType:
		return parquet.Leaf(parquet.BooleanType)
	case *arrow.Decimal128Type:
		return parquet.Decimal(int(t.Scale), int(t.Precision), parquet.FixedLenByteArrayType(arrow.Decimal128SizeBytes))
	case *arrow.BinaryType:
		return parquet.Leaf(parquet.ByteArrayType)
	default:
		return parquet.String()
	}
}

// orderedGroup is a group whose fields keep their order; those of parquet.Group
// are sorted by name, but here a field's position is its id.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g *orderedGroup) Fields() []parquet.Field { return g.fields }

// orderedField is a field of an orderedGroup.
type orderedField struct {
	parquet.Node
	name string
}

func (f *orderedField) Name() string { return f.name }

// Value is part of parquet.Field. It serves rows that are Go structs, which are
// never written here.
func (*orderedField) Value(base reflect.Value) reflect.Value { return base }
