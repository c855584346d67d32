package lake

import (
	"fmt"
	"reflect"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding"

	"weir/schemas"
	"weir/schemas/columns"
)

// Sizes of what a data file is made of. Scans and merges hold a row group of a
// file at most.
const (
	maxRowGroupRows  = 64 << 10
	maxRowGroupBytes = 32 << 20  // of uncompressed strings
	maxPageBytes     = 128 << 10 // of strings, uncompressed
	maxPageRows      = 16 << 10
)

// parquetSchema returns the Parquet schema of a table: its Arrow schema with
// field ids and encodings.
func parquetSchema(name string, columns *arrow.Schema) *parquet.Schema {
	var root orderedGroup
	for i, f := range columns.Fields() {
		node := parquetNode(f)
		if f.Nullable {
			node = parquet.Optional(node)
		}
		root.fields = append(root.fields, &orderedField{Node: parquet.FieldID(node, i+1), name: f.Name})
	}
	return parquet.NewSchema(name, &root)
}

func parquetNode(f arrow.Field) parquet.Node {
	switch f.Type.ID() {
	case arrow.INT64:
		return parquet.Encoded(parquet.Leaf(parquet.Int64Type), int64Encoding(f.Name))
	case arrow.INT32:
		return parquet.Encoded(parquet.Leaf(parquet.Int32Type), &parquet.RLEDictionary)
	case arrow.DATE32:
		return parquet.Encoded(parquet.Date(), &parquet.RLEDictionary)
	case arrow.TIMESTAMP:
		return parquet.Encoded(parquet.Timestamp(parquet.Microsecond), &parquet.DeltaBinaryPacked)
	case arrow.BOOL:
		return parquet.Leaf(parquet.BooleanType)
	case arrow.DECIMAL128:
		return parquet.Decimal(schemas.ValueScale, schemas.ValuePrecision, parquet.FixedLenByteArrayType(16))
	case arrow.BINARY:
		return parquet.Leaf(parquet.ByteArrayType)
	case arrow.DICTIONARY:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	default:
		if f.Name == columns.SessionID {
			return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		}
		return parquet.String()
	}
}

// int64Encoding fits the order of rows: products and clients come in runs,
// offsets of a client rise, counts are small.
func int64Encoding(name string) encoding.Encoding {
	switch name {
	case columns.ProductID, columns.ClientID, colSessions:
		return &parquet.RLEDictionary
	case columns.RuntimeMS:
		return &parquet.Plain
	default:
		return &parquet.DeltaBinaryPacked
	}
}

// orderedGroup is a group whose fields keep their order: parquet.Group sorts
// them by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g *orderedGroup) Fields() []parquet.Field { return g.fields }

type orderedField struct {
	parquet.Node
	name string
}

func (f *orderedField) Name() string { return f.name }

// Value is for rows as Go structs, which the lake never writes.
func (*orderedField) Value(base reflect.Value) reflect.Value { return base }

// hasBounds says that pages and row groups of a column have a smallest and a
// largest value: not those of long texts, of which nobody asks for a range, nor
// decimals, which parquet-go compares as bytes, that is wrongly.
func hasBounds(f arrow.Field) bool {
	switch f.Type.ID() {
	case arrow.INT64, arrow.INT32, arrow.DATE32, arrow.TIMESTAMP:
		return true
	case arrow.DICTIONARY:
		return f.Name == columns.Name || f.Name == columns.Category
	default:
		return false
	}
}

// parquetCodec is the compression of pages by its configured name.
func parquetCodec(name string) (compress.Codec, error) {
	switch name {
	case "zstd":
		return &zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}, nil
	case "snappy":
		return &parquet.Snappy, nil
	case "none":
		return &parquet.Uncompressed, nil
	}
	return nil, fmt.Errorf("compression %q is none of zstd, snappy, none", name)
}
