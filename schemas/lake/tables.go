package lake

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/iceberg-go"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// Table is one of the Iceberg tables of namespace `weir`.
type Table string

// The tables. Each has a row of facts below.
const (
	DeadLetters Table = "dead_letters"
	Changes     Table = "client_changes"
	Events      Table = "events"
	ClientDays  Table = "client_days"
	EventDays   Table = "event_days"
	Clients     Table = "clients"
)

// tableRow holds every fact about one table. A new table is one row here, the
// format of its rows (see rowFormat) and its place in a cut of the processor.
type tableRow struct {
	table     Table
	schema    func() *arrow.Schema // a column's position + 1 is its field id permanently: columns are only appended
	partition partitioning         // how rows are divided into data files; see EvolveLayout
	before    partitioning         // how they were before runs, and are until all processors know them
	sort      []sortKey            // order of the rows of a data file; writers and merges must produce it
	merge     mergeFunc            // makes one data file of several

	// rowGuard makes Replace refuse data files that hold another number of rows
	// than those they replace. It is set where every row counts by itself; rows
	// of rollups merge, so their number shrinks.
	rowGuard bool
	counters bool       // shard states carry Counters; in the other tables they are zero
	rollup   rollupFunc // writes the rows of a rollup.Set; nil: the table is no function of the rows of events
}

// sortKey is one column of a sort order, ascending, nulls first.
type sortKey struct {
	column    string
	transform iceberg.Transform
}

// clientBuckets is how many partitions the table of clients had before runs.
const clientBuckets = 16

// tables returns one row per table, in the order in which a cut is committed
// to them: schemas/DESIGN.md "A verdict is given once". Dead letters and
// changes come before events, since a table that is behind events could catch
// up only from the log, where another version may give another verdict. Rollups
// come after events, from whose rows they can always be gathered again.
func tables() []tableRow {
	return []tableRow{
		{
			table: DeadLetters, schema: deadLettersSchema,
			partition: byArrivalMonth(), before: byArrivalMonth(),
			sort:  []sortKey{by(columns.Offset)},
			merge: mergeRows(deadLetterRows), rowGuard: true,
		},
		{
			table: Changes, schema: columns.ChangeSchema,
			partition: byArrivalMonth(), before: byMonth(columns.Time, "time_month"),
			sort:  []sortKey{by(columns.ProductID), by(columns.ClientID), by(columns.Offset)},
			merge: mergeRows(changeRows), rowGuard: true,
		},
		{
			table: Events, schema: columns.Schema,
			partition: byArrivalMonth(), before: byMonth(columns.Time, "time_month"),
			sort:  []sortKey{by(columns.ProductID), byDay(columns.Time), by(columns.ClientID), by(columns.Time), by(columns.Offset)},
			merge: mergeEvents, rowGuard: true, counters: true,
		},
		{
			table: ClientDays, schema: clientDaysSchema,
			partition: undivided(), before: byMonth(colDay, "day_month"),
			sort:  []sortKey{by(columns.ProductID), by(colDay), by(columns.ClientID)},
			merge: mergeRows(clientDayRows), rollup: writeRollup(clientDayRows, (*rollup.Set).ClientDays),
		},
		{
			table: EventDays, schema: eventDaysSchema,
			partition: undivided(), before: byMonth(colDay, "day_month"),
			sort:  []sortKey{by(columns.ProductID), by(colDay), by(columns.ClientID)},
			merge: mergeRows(eventDayRows), rollup: writeRollup(eventDayRows, (*rollup.Set).EventDays),
		},
		{
			table: Clients, schema: clientsSchema,
			partition: undivided(), before: byBucket(columns.ClientID, "client_id_bucket", clientBuckets),
			sort:  []sortKey{by(columns.ProductID), by(columns.ClientID)},
			merge: mergeRows(clientRows), rollup: writeRollup(clientRows, (*rollup.Set).Clients),
		},
	}
}

// mergeFunc writes the rows of files to out, in the order of the table.
type mergeFunc func(ctx context.Context, l *Lake, out *mergeOutput, files []DataFile) error

// rollupFunc writes the rows of set that belong to t, all of one shard.
type rollupFunc func(ctx context.Context, l *Lake, t Table, shard int32, set *rollup.Set) ([]DataFile, error)

// by sorts by the values of a column; byDay sorts by their UTC day, so that
// what follows in the sort order counts within a day.
func by(column string) sortKey    { return sortKey{column, iceberg.IdentityTransform{}} }
func byDay(column string) sortKey { return sortKey{column, iceberg.DayTransform{}} }

// Tables lists every table in commit order.
func Tables() []Table {
	var out []Table
	for _, row := range tables() {
		out = append(out, row.table)
	}
	return out
}

// Rollups lists the tables that are a function of the rows of Events.
func Rollups() []Table {
	var out []Table
	for _, row := range tables() {
		if row.rollup != nil {
			out = append(out, row.table)
		}
	}
	return out
}

// HasCounters reports whether the shard states of t carry Counters.
func (t Table) HasCounters() bool {
	for _, row := range tables() {
		if row.table == t {
			return row.counters
		}
	}
	return false
}

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

// deadLettersSchema has one row for each record that could not be decoded.
func deadLettersSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: columns.Shard, Type: arrow.PrimitiveTypes.Int32},
		{Name: columns.Offset, Type: arrow.PrimitiveTypes.Int64},
		{Name: columns.Arrival, Type: columns.Timestamp()},
		{Name: colReason, Type: columns.DictionaryType()},
		{Name: colKey, Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: columns.Value, Type: arrow.BinaryTypes.Binary, Nullable: true},
	}, nil)
}

// clientDaysSchema has one row for each product, client and UTC day, and each
// cut that adds to it: sums of the day, and the last standard properties.
func clientDaysSchema() *arrow.Schema {
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

// eventDaysSchema has one row for each product, client, UTC day, category and
// event name, and each cut that adds to it.
func eventDaysSchema() *arrow.Schema {
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

// clientsSchema has one row for each product and client, and each cut that adds
// to it: lifetime sums, first and last event, current properties. The install
// day is the day of the earliest event time; a backfill can move it.
func clientsSchema() *arrow.Schema {
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
