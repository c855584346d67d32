package lake

import (
	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// columnLayout returns how the columns of a table lie in its data files. It
// follows from a column's type and, where that is not enough, from its name,
// which means the same in every table.
func columnLayout(schema *arrow.Schema) []parquet.Column {
	var out []parquet.Column
	for _, f := range schema.Fields() {
		out = append(out, parquet.Column{Field: f, Encoding: encodingOf(f), Bounds: hasBounds(f)})
	}
	return out
}

// encodingOf returns the encoding that fits the order of rows: products and
// clients come in runs, offsets of a client rise, counts are small, and the
// events of a session follow one another.
func encodingOf(f arrow.Field) parquet.Encoding {
	switch f.Type.ID() {
	case arrow.INT64:
		switch f.Name {
		case columns.ProductID, columns.ClientID, colSessions:
			return parquet.Dictionary
		case columns.RuntimeMS:
			return parquet.Plain
		default:
			return parquet.Delta
		}
	case arrow.TIMESTAMP:
		return parquet.Delta
	case arrow.INT32, arrow.DATE32, arrow.DICTIONARY:
		return parquet.Dictionary
	case arrow.STRING:
		if f.Name == columns.SessionID {
			return parquet.Dictionary
		}
	default:
	}
	return parquet.Plain
}

// hasBounds reports whether data files have the smallest and the largest value
// of a column. Long strings have none: no filter asks for a range of them. Nor
// have decimals, which parquet-go compares as bytes, and that order is wrong.
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
