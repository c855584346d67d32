// Package columns defines events and changes as Arrow columns: their names, types
// and order, builders that append rows, a view that reads rows of any subset of the
// columns, and the Filter that selects rows. Lake, tail, rollups and queries share
// it, so that a batch has the same meaning everywhere.
package columns

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas"
)

// Names of the columns of an event batch.
const (
	ProductID        = "product_id"
	ClientID         = "client_id"
	Time             = "time" // event time
	Name             = "name"
	Category         = "category"
	Value            = "value"
	SessionID        = "session_id"
	RuntimeMS        = "runtime_ms"
	RandomID         = "random_id"
	AppKey           = "app_key"
	AppName          = "app_name"
	AppVersion       = "app_version"
	ContentLocale    = "content_locale"
	UILocale         = "ui_locale"
	Offline          = "offline"
	UserAgent        = "user_agent"
	IP               = "ip"
	User             = "user"   // JSON object
	Client           = "client" // flat JSON object
	ExceptionClass   = "exception_class"
	ExceptionMethod  = "exception_method"
	ExceptionMessage = "exception_message"
	ExceptionStack   = "exception_stack"
	Properties       = "properties" // JSON object
	Shard            = "shard"
	Offset           = "offset"
	Arrival          = "arrival"    // log time of its record
	ValueText        = "value_text" // $value as it was sent, when that is not its shortest form
)

// MaxTimeMS is the largest event time that a batch can hold, and −MaxTimeMS the
// smallest: a timestamp is an int64 of microseconds.
const MaxTimeMS = math.MaxInt64 / 1000

// Schema returns the schema of an event batch with all columns. The position of a
// column plus 1 is its field id in Iceberg and Parquet. Data files hold these ids
// permanently, so columns are only ever appended.
func Schema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: ProductID, Type: arrow.PrimitiveTypes.Int64},
		{Name: ClientID, Type: arrow.PrimitiveTypes.Int64},
		{Name: Time, Type: Timestamp()},
		{Name: Name, Type: DictionaryType()},
		{Name: Category, Type: DictionaryType(), Nullable: true},
		{Name: Value, Type: Decimal(), Nullable: true},
		{Name: SessionID, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: RuntimeMS, Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: RandomID, Type: arrow.BinaryTypes.String},
		{Name: AppKey, Type: DictionaryType(), Nullable: true},
		{Name: AppName, Type: DictionaryType(), Nullable: true},
		{Name: AppVersion, Type: DictionaryType(), Nullable: true},
		{Name: ContentLocale, Type: DictionaryType(), Nullable: true},
		{Name: UILocale, Type: DictionaryType(), Nullable: true},
		{Name: Offline, Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: UserAgent, Type: DictionaryType(), Nullable: true},
		{Name: IP, Type: DictionaryType(), Nullable: true},
		{Name: User, Type: DictionaryType(), Nullable: true},
		{Name: Client, Type: DictionaryType(), Nullable: true},
		{Name: ExceptionClass, Type: DictionaryType(), Nullable: true},
		{Name: ExceptionMethod, Type: DictionaryType(), Nullable: true},
		{Name: ExceptionMessage, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: ExceptionStack, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: Properties, Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: Shard, Type: arrow.PrimitiveTypes.Int32},
		{Name: Offset, Type: arrow.PrimitiveTypes.Int64},
		{Name: Arrival, Type: Timestamp()},
		{Name: ValueText, Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
}

// DictionaryType returns the type of a dictionary-encoded string column, for columns
// with few distinct values. Dictionaries differ from batch to batch.
func DictionaryType() arrow.DataType {
	return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
}

// Timestamp returns the type of all times: microseconds since 1970, UTC.
func Timestamp() arrow.DataType { return arrow.FixedWidthTypes.Timestamp_us }

// Decimal returns the type of `$value` and of its sums.
func Decimal() arrow.DataType {
	return &arrow.Decimal128Type{Precision: schemas.ValuePrecision, Scale: schemas.ValueScale}
}
