package lake

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"weir/schemas/columns"
)

// Names of columns that rollups and dead letters have and events do not.
const (
	colDay        = "day"
	colEvents     = "events"
	colSessions   = "sessions"
	colFirst      = "first_time"
	colLast       = "last_time"
	colInstallDay = "install_day"
	colCount      = "count"
	colValueSum   = "value_sum"
	colValueCount = "value_count"
	colReason     = "reason"
	colKey        = "key"
)

// clientBuckets is how many partitions the table of clients has.
const clientBuckets = 16

// partitionFieldID is Iceberg's id of the one partition field of each table.
const partitionFieldID = 1000

// sortOrderID is Iceberg's id of the sort order of each table.
const sortOrderID = 1

// EventsArrow is the schema of a whole event batch.
func EventsArrow() *arrow.Schema { return columns.Schema() }

// arrowSchema is the schema of t, from which its Iceberg and Parquet schemas
// follow. The position of a column + 1 is its field id for ever: columns are
// only appended.
func arrowSchema(t Table) *arrow.Schema {
	switch t {
	case Events:
		return columns.Schema()
	case ClientDays:
		return clientDaysArrow()
	case EventDays:
		return eventDaysArrow()
	case Clients:
		return clientsArrow()
	case Changes:
		return columns.ChangeSchema()
	default:
		return deadLettersArrow()
	}
}

func clientDaysArrow() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: columns.ProductID, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.ClientID, Type: arrow.PrimitiveTypes.Int64},
		{Name: colDay, Type: arrow.FixedWidthTypes.Date32},
		{Name: colEvents, Type: arrow.PrimitiveTypes.Int64},
		{Name: colSessions, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.RuntimeMS, Type: arrow.PrimitiveTypes.Int64},
		{Name: colFirst, Type: columns.Timestamp()},
		{Name: colLast, Type: columns.Timestamp()},
		{Name: columns.Properties, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: columns.Shard, Type: arrow.PrimitiveTypes.Int32},
	}, nil)
}

func eventDaysArrow() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: columns.ProductID, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.ClientID, Type: arrow.PrimitiveTypes.Int64},
		{Name: colDay, Type: arrow.FixedWidthTypes.Date32},
		{Name: columns.Category, Type: columns.DictionaryType(), Nullable: true},
		{Name: columns.Name, Type: columns.DictionaryType()},
		{Name: colCount, Type: arrow.PrimitiveTypes.Int64},
		{Name: colValueSum, Type: columns.Decimal()},
		{Name: colValueCount, Type: arrow.PrimitiveTypes.Int64},
		{Name: colFirst, Type: columns.Timestamp()},
		{Name: columns.Shard, Type: arrow.PrimitiveTypes.Int32},
	}, nil)
}

func clientsArrow() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: columns.ProductID, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.ClientID, Type: arrow.PrimitiveTypes.Int64},
		{Name: colInstallDay, Type: arrow.FixedWidthTypes.Date32},
		{Name: colFirst, Type: columns.Timestamp()},
		{Name: colLast, Type: columns.Timestamp()},
		{Name: colEvents, Type: arrow.PrimitiveTypes.Int64},
		{Name: colSessions, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.RuntimeMS, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.Properties, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: columns.Shard, Type: arrow.PrimitiveTypes.Int32},
	}, nil)
}

func deadLettersArrow() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: columns.Shard, Type: arrow.PrimitiveTypes.Int32},
		{Name: columns.Offset, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.Arrival, Type: columns.Timestamp()},
		{Name: colReason, Type: columns.DictionaryType()},
		{Name: colKey, Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: columns.Value, Type: arrow.BinaryTypes.Binary, Nullable: true},
	}, nil)
}

// fieldID is the Iceberg field id of a column of t; 0 when t lacks it.
func fieldID(t Table, column string) int {
	at := arrowSchema(t).FieldIndices(column)
	if len(at) == 0 {
		return 0
	}
	return at[0] + 1
}

// icebergSchema is the Iceberg schema of t.
func icebergSchema(t Table) *iceberg.Schema {
	var fields []iceberg.NestedField
	for i, f := range arrowSchema(t).Fields() {
		fields = append(fields, iceberg.NestedField{ID: i + 1, Name: f.Name, Type: icebergType(f.Type), Required: !f.Nullable})
	}
	return iceberg.NewSchema(0, fields...)
}

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

// partitionSpec is the partitioning that t is created with.
func partitionSpec(t Table) iceberg.PartitionSpec {
	column, name, transform := partitioning(t)
	return iceberg.NewPartitionSpec(iceberg.PartitionField{
		SourceIDs: []int{fieldID(t, column)}, FieldID: partitionFieldID, Name: name, Transform: transform,
	})
}

// partitioning is the column that t is partitioned by, the partition's name
// and how it follows from the column.
func partitioning(t Table) (column, name string, transform iceberg.Transform) {
	switch t {
	case Events, Changes:
		return columns.Time, "time_month", iceberg.MonthTransform{}
	case ClientDays, EventDays:
		return colDay, "day_month", iceberg.MonthTransform{}
	case Clients:
		return columns.ClientID, "client_id_bucket", iceberg.BucketTransform{NumBuckets: clientBuckets}
	default:
		return columns.Arrival, "arrival_month", iceberg.MonthTransform{}
	}
}

// sortOrder is the order of the rows of each data file of t.
func sortOrder(t Table) (table.SortOrder, error) {
	var fields []table.SortField
	add := func(column string, transform iceberg.Transform) {
		fields = append(fields, table.SortField{
			SourceIDs: []int{fieldID(t, column)}, Transform: transform,
			Direction: table.SortASC, NullOrder: table.NullsFirst,
		})
	}
	switch t {
	case Events:
		add(columns.ProductID, iceberg.IdentityTransform{})
		add(columns.Time, iceberg.DayTransform{})
		add(columns.ClientID, iceberg.IdentityTransform{})
		add(columns.Time, iceberg.IdentityTransform{})
		add(columns.Offset, iceberg.IdentityTransform{})
	case ClientDays, EventDays:
		add(columns.ProductID, iceberg.IdentityTransform{})
		add(colDay, iceberg.IdentityTransform{})
		add(columns.ClientID, iceberg.IdentityTransform{})
	case Clients:
		add(columns.ProductID, iceberg.IdentityTransform{})
		add(columns.ClientID, iceberg.IdentityTransform{})
	case Changes:
		add(columns.ProductID, iceberg.IdentityTransform{})
		add(columns.ClientID, iceberg.IdentityTransform{})
		add(columns.Offset, iceberg.IdentityTransform{})
	default:
		add(columns.Offset, iceberg.IdentityTransform{})
	}
	order, err := table.NewSortOrder(sortOrderID, fields)
	if err != nil {
		return table.SortOrder{}, fmt.Errorf("sort order of %s: %w", t, err)
	}
	return order, nil
}
