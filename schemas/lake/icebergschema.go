package lake

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// sortOrderID is Iceberg's id of the sort order of each table.
const sortOrderID = 1

// fieldID returns the Iceberg field id of a column; 0 when the schema lacks it.
func fieldID(schema *arrow.Schema, column string) int {
	at := schema.FieldIndices(column)
	if len(at) == 0 {
		return 0
	}
	return at[0] + 1
}

// icebergSchema returns the Iceberg schema of a table with the given columns.
func icebergSchema(schema *arrow.Schema) *iceberg.Schema {
	var fields []iceberg.NestedField
	for i, f := range schema.Fields() {
		fields = append(fields, iceberg.NestedField{ID: i + 1, Name: f.Name, Type: icebergType(f.Type), Required: !f.Nullable})
	}
	return iceberg.NewSchema(0, fields...)
}

// icebergType returns the Iceberg type of a column. Strings and
// dictionary-encoded strings are the same to Iceberg.
func icebergType(t arrow.DataType) iceberg.Type {
	switch t := t.(type) {
	case *arrow.Int64Type:
		return iceberg.PrimitiveTypes.Int64
	case *arrow.Int32Type:
		return iceberg.PrimitiveTypes.Int32
	case *arrow.Date32Type:
		return iceberg.PrimitiveTypes.Date
	case *arrow.TimestampType:
		return iceberg.PrimitiveTypes.TimestampTz
	case *arrow.BooleanType:
		return iceberg.PrimitiveTypes.Bool
	case *arrow.BinaryType:
		return iceberg.PrimitiveTypes.Binary
	case *arrow.Decimal128Type:
		return iceberg.DecimalTypeOf(int(t.Precision), int(t.Scale))
	default:
		return iceberg.PrimitiveTypes.String
	}
}

// spec returns the partition spec of a table with the given columns.
func (p partitioning) spec(schema *arrow.Schema) iceberg.PartitionSpec {
	if p.column == "" {
		return iceberg.NewPartitionSpec()
	}
	return iceberg.NewPartitionSpec(iceberg.PartitionField{
		SourceIDs: []int{fieldID(schema, p.column)}, FieldID: iceberg.PartitionDataIDStart, Name: p.field, Transform: p.transform,
	})
}

// sortOrder returns the sort order of a table with the given columns.
func sortOrder(schema *arrow.Schema, keys []sortKey) (table.SortOrder, error) {
	var fields []table.SortField
	for _, k := range keys {
		fields = append(fields, table.SortField{
			SourceIDs: []int{fieldID(schema, k.column)}, Transform: k.transform,
			Direction: table.SortASC, NullOrder: table.NullsFirst,
		})
	}
	order, err := table.NewSortOrder(sortOrderID, fields)
	if err != nil {
		return table.SortOrder{}, fmt.Errorf("make sort order: %w", err)
	}
	return order, nil
}
