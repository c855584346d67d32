package columns

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// View reads the rows of one event batch. A column that the batch lacks is the
// zero value: a nil slice, or a column that is null everywhere. A view is valid as
// long as its batch.
type View struct {
	Rows int

	Product, Client, Offset []int64
	Shard                   []int32
	Time, Arrival           []arrow.Timestamp // microseconds; see TimeMS
	Value                   Decimals
	Runtime                 Int64s // milliseconds
	Offline                 Bools

	Name, Category, SessionID, RandomID, AppKey, AppName, AppVersion, ContentLocale, UILocale, UserAgent, IP,
	User, ClientProps, ExceptionClass, ExceptionMethod, ExceptionMessage, ExceptionStack, Properties, ValueText Strings
}

// Bind returns a view of rec. It ignores unknown columns; a known column of the
// wrong type is an error.
func Bind(rec arrow.Record) (View, error) {
	v := View{Rows: int(rec.NumRows())}
	for i, f := range rec.Schema().Fields() {
		if err := v.bind(f.Name, rec.Column(i)); err != nil {
			return View{}, fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	return v, nil
}

// TimeMS returns the event time of row i in epoch milliseconds.
func (v *View) TimeMS(i int) int64 { return floorDiv(int64(v.Time[i]), 1000) }

// ArrivalMS returns the log time of row i in epoch milliseconds.
func (v *View) ArrivalMS(i int) int64 { return floorDiv(int64(v.Arrival[i]), 1000) }

func (v *View) bind(name string, col arrow.Array) error {
	if s := v.stringColumn(name); s != nil {
		return s.bind(col)
	}
	ok := true
	switch name {
	case ProductID:
		v.Product, ok = int64s(col)
	case ClientID:
		v.Client, ok = int64s(col)
	case Offset:
		v.Offset, ok = int64s(col)
	case Shard:
		v.Shard, ok = int32s(col)
	case Time:
		v.Time, ok = timestamps(col)
	case Arrival:
		v.Arrival, ok = timestamps(col)
	case Value:
		v.Value.arr, ok = col.(*array.Decimal128)
	case RuntimeMS:
		v.Runtime.arr, ok = col.(*array.Int64)
	case Offline:
		v.Offline.arr, ok = col.(*array.Boolean)
	}
	if !ok {
		return fmt.Errorf("unexpected type %s", col.DataType())
	}
	return nil
}

// stringColumn returns the field for the string column name; nil for other names.
func (v *View) stringColumn(name string) *Strings {
	switch name {
	case Name:
		return &v.Name
	case Category:
		return &v.Category
	case SessionID:
		return &v.SessionID
	case RandomID:
		return &v.RandomID
	case AppKey:
		return &v.AppKey
	case AppName:
		return &v.AppName
	case AppVersion:
		return &v.AppVersion
	case ContentLocale:
		return &v.ContentLocale
	case UILocale:
		return &v.UILocale
	case UserAgent:
		return &v.UserAgent
	case IP:
		return &v.IP
	case User:
		return &v.User
	}
	return v.rareStringColumn(name)
}

// rareStringColumn is stringColumn for columns that few events fill.
func (v *View) rareStringColumn(name string) *Strings {
	switch name {
	case Client:
		return &v.ClientProps
	case ExceptionClass:
		return &v.ExceptionClass
	case ExceptionMethod:
		return &v.ExceptionMethod
	case ExceptionMessage:
		return &v.ExceptionMessage
	case ExceptionStack:
		return &v.ExceptionStack
	case Properties:
		return &v.Properties
	case ValueText:
		return &v.ValueText
	}
	return nil
}

func int64s(col arrow.Array) ([]int64, bool) {
	a, ok := col.(*array.Int64)
	if !ok {
		return nil, false
	}
	return a.Int64Values(), true
}

func int32s(col arrow.Array) ([]int32, bool) {
	a, ok := col.(*array.Int32)
	if !ok {
		return nil, false
	}
	return a.Int32Values(), true
}

func timestamps(col arrow.Array) ([]arrow.Timestamp, bool) {
	a, ok := col.(*array.Timestamp)
	if !ok {
		return nil, false
	}
	return a.TimestampValues(), true
}

// Strings is a string column, dictionary-encoded or plain.
type Strings struct {
	rows  arrow.Array   // nil when the batch lacks the column
	plain *array.String // the values of rows, or the dictionary
	codes []int32       // codes of the rows; nil for a plain column
}

func (s *Strings) bind(col arrow.Array) error {
	switch a := col.(type) {
	case *array.String:
		s.rows, s.plain = a, a
		return nil
	case *array.Dictionary:
		values, isString := a.Dictionary().(*array.String)
		indices, isInt32 := a.Indices().(*array.Int32)
		if !isString || !isInt32 {
			break
		}
		s.rows, s.plain, s.codes = a, values, indices.Int32Values()
		return nil
	}
	return fmt.Errorf("type %s is not a string", col.DataType())
}

// Null reports whether row i has no value.
func (s *Strings) Null(i int) bool { return s.rows == nil || s.rows.IsNull(i) }

// At returns the value of row i, "" if it is null. The string aliases the batch.
func (s *Strings) At(i int) string {
	if s.Null(i) {
		return ""
	}
	if s.codes != nil {
		return s.plain.Value(int(s.codes[i]))
	}
	return s.plain.Value(i)
}

// Code returns the dictionary code of row i: within a batch equal codes mean equal
// values. It is −1 for null and in a plain column.
func (s *Strings) Code(i int) int32 {
	if s.codes == nil || s.rows.IsNull(i) {
		return -1
	}
	return s.codes[i]
}

// IsDictionary reports whether the column is dictionary-encoded.
func (s *Strings) IsDictionary() bool { return s.codes != nil }

// DictionaryLen returns the number of dictionary codes; DictionaryValue returns the
// value of one.
func (s *Strings) DictionaryLen() int {
	if s.codes == nil {
		return 0
	}
	return s.plain.Len()
}

// DictionaryValue returns the value of a code.
func (s *Strings) DictionaryValue(code int32) string { return s.plain.Value(int(code)) }

// Int64s is a nullable column of integers.
type Int64s struct{ arr *array.Int64 }

// Null reports whether row i has no value.
func (c Int64s) Null(i int) bool { return c.arr == nil || c.arr.IsNull(i) }

// At returns the value of row i, which must not be null.
func (c Int64s) At(i int) int64 { return c.arr.Value(i) }

// Decimals is a nullable column of exact numbers in units of 10^-9.
type Decimals struct{ arr *array.Decimal128 }

// Null reports whether row i has no value.
func (c Decimals) Null(i int) bool { return c.arr == nil || c.arr.IsNull(i) }

// At returns the value of row i, which must not be null.
func (c Decimals) At(i int) decimal128.Num { return c.arr.Value(i) }

// Bools is a nullable column of booleans.
type Bools struct{ arr *array.Boolean }

// Null reports whether row i has no value.
func (c Bools) Null(i int) bool { return c.arr == nil || c.arr.IsNull(i) }

// At returns the value of row i, which must not be null.
func (c Bools) At(i int) bool { return c.arr.Value(i) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
