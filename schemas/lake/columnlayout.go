package lake

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/iceberg-go"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// columnLayout returns how the columns of a table lie in its data files. It
// follows from a column's type and, where that is not enough, from its name,
// which means the same in every table.
func columnLayout(schema *arrow.Schema, sort []sortKey) []parquet.Column {
	var out []parquet.Column
	for _, f := range schema.Fields() {
		out = append(out, parquet.Column{Field: f, Encoding: encodingOf(f), Bounds: hasBounds(f), Bloom: f.Name == columns.RandomID, SortKey: sortKeyOf(f, sort)})
	}
	return out
}

// sortKeyOf returns the place of a column in the sort order of rows, from 1 on.
// Parquet knows no transforms, so what follows one in the order is left out: rows
// by day and client are in the order of neither time nor client.
func sortKeyOf(f arrow.Field, sort []sortKey) int {
	for i, k := range sort {
		if _, plain := k.transform.(iceberg.IdentityTransform); !plain {
			break
		}
		if k.column == f.Name {
			return i + 1
		}
	}
	return 0
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

// hasBounds reports whether data files have bounds of a column: all have them but
// booleans and bytes that nobody compares. Text is cut: see package parquet.
func hasBounds(f arrow.Field) bool {
	switch f.Type.ID() {
	case arrow.BOOL, arrow.BINARY:
		return false
	default:
		return true
	}
}
