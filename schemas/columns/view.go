package columns

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// View reads the rows of one event batch. Columns that the batch lacks are
// zero: an Int64s of length 0, a Strings that is null everywhere. A view is
// valid as long as its batch.
type View struct {
	Rows int

	Product, Client, Offset []int64
	Shard                   []int32
	Time, Arrival           []arrow.Timestamp // microseconds; see TimeMS
	Value                   Decimals
	Runtime                 Int64s // milliseconds
	Offline                 Bools

	Name, Category, SessionID, RandomID, AppKey, AppName, AppVersion, ContentLocale, UILocale, UserAgent, IP,
	User, ClientProps, ExceptionClass, ExceptionMethod, ExceptionMessage, ExceptionStack, Properties Strings
}

// Bind returns the view of rec. Columns that no event has are ignored; one of
// a wrong type is an error.
func Bind(rec arrow.Record) (View, error) {
	v := View{Rows: int(rec.NumRows())}
	for i, f := range rec.Schema().Fields() {
		if err := v.bind(f.Name, rec.Column(i)); err != nil {
			return View{}, fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	return v, nil
}

// TimeMS is the event time of row i in epoch milliseconds.
func (v *View) TimeMS(i int) int64 { return floorDiv(int64(v.Time[i]), 1000) }

// ArrivalMS is the log time of row i in epoch milliseconds.
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
		return fmt.Errorf("type %s is not the event's", col.DataType())
	}
	return nil
}

// stringColumn is where the string column name is bound; nil for any other name.
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

// rareStringColumn is strings for what few events have.
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

// Strings is a string column, coded or not.
type Strings struct {
	rows  arrow.Array   // nil when the batch lacks the column
	plain *array.String // the values of rows; of a coded column its dictionary
	codes []int32       // of a coded column; its rows
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

// Null says that row i has no value.
func (s *Strings) Null(i int) bool { return s.rows == nil || s.rows.IsNull(i) }

// At is the value of row i, "" when it has none. The string lies in the batch.
func (s *Strings) At(i int) string {
	if s.Null(i) {
		return ""
	}
	if s.codes != nil {
		return s.plain.Value(int(s.codes[i]))
	}
	return s.plain.Value(i)
}

// Code is the code of row i: equal codes of one batch are equal values. It is
// −1 without a value, and −1 in a column that is not Coded.
func (s *Strings) Code(i int) int32 {
	if s.codes == nil || s.rows.IsNull(i) {
		return -1
	}
	return s.codes[i]
}

// IsDictionary says that rows have codes.
func (s *Strings) IsDictionary() bool { return s.codes != nil }

// DictionaryLen is how many codes the batch has; the value of one is Coding(code).
func (s *Strings) DictionaryLen() int {
	if s.codes == nil {
		return 0
	}
	return s.plain.Len()
}

// DictionaryValue is the value of a code.
func (s *Strings) DictionaryValue(code int32) string { return s.plain.Value(int(code)) }

// Int64s is a column of integers that may be absent.
type Int64s struct{ arr *array.Int64 }

// Null says that row i has no value.
func (c Int64s) Null(i int) bool { return c.arr == nil || c.arr.IsNull(i) }

// At is the value of row i; only where Null(i) is false.
func (c Int64s) At(i int) int64 { return c.arr.Value(i) }

// Decimals is a column of exact numbers in units of 10^-9.
type Decimals struct{ arr *array.Decimal128 }

// Null says that row i has no value.
func (c Decimals) Null(i int) bool { return c.arr == nil || c.arr.IsNull(i) }

// At is the value of row i; only where Null(i) is false.
func (c Decimals) At(i int) decimal128.Num { return c.arr.Value(i) }

// Bools is a column of truth values.
type Bools struct{ arr *array.Boolean }

// Null says that row i has no value.
func (c Bools) Null(i int) bool { return c.arr == nil || c.arr.IsNull(i) }

// At is the value of row i; only where Null(i) is false.
func (c Bools) At(i int) bool { return c.arr.Value(i) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
