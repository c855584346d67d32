package columns

import (
	"fmt"
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
)

// events returns an event with all fields, one with only the required fields, and
// one with the smallest event time.
func events() []schemas.Event {
	return []schemas.Event{
		{
			Product: 1001, Client: math.MaxInt64, Time: 1_700_000_000_123, Name: "edit", RandomID: "r1",
			Category: new(""), Value: new(decimal128.FromI64(-1_500_000_000)), SessionID: "s1", RuntimeMS: new(int64(0)),
			AppKey: "k", AppName: "n", AppVersion: "v", ContentLocale: "de", UILocale: "en", Offline: new(false),
			UserAgent: "ua", IP: "::1", User: []byte(`{"id":"u"}`), ClientProps: []byte(`{"prodVersion":"1"}`),
			Exception:  &schemas.Exception{Class: "c", Method: "m", Message: "msg", Stack: "at"},
			Properties: []byte(`{"a":1}`), ValueText: "-1.50",
		},
		{Product: 1, Client: 2, Time: 3, Name: "x", RandomID: "r2"},
		{
			Product: 1, Client: 2, Time: math.MinInt64, Name: "edit", RandomID: "r3", Category: new("c"),
			Exception: &schemas.Exception{},
		},
	}
}

// row formats one row of a view.
func row(v *View, i int) string {
	text := fmt.Sprint(v.Product[i], v.Client[i], v.TimeMS(i), v.Shard[i], v.Offset[i], v.ArrivalMS(i))
	for _, s := range []*Strings{
		&v.Name, &v.Category, &v.SessionID, &v.RandomID, &v.AppKey, &v.AppName, &v.AppVersion, &v.ContentLocale,
		&v.UILocale, &v.UserAgent, &v.IP, &v.User, &v.ClientProps, &v.ExceptionClass, &v.ExceptionMethod,
		&v.ExceptionMessage, &v.ExceptionStack, &v.Properties, &v.ValueText,
	} {
		if s.Null(i) {
			text += " -"
			continue
		}
		text += fmt.Sprintf(" %q", s.At(i))
	}
	if !v.Value.Null(i) {
		text += " value " + v.Value.At(i).ToString(schemas.ValueScale)
	}
	if !v.Runtime.Null(i) {
		text += fmt.Sprint(" runtime ", v.Runtime.At(i))
	}
	if !v.Offline.Null(i) {
		text += fmt.Sprint(" offline ", v.Offline.At(i))
	}
	return text
}

func TestBatchRoundTrip(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	b := NewBuilder(mem)
	defer b.Release()
	for range 2 { // the second batch must not depend on the first
		for i, e := range events() {
			b.Append(&e, Position{Shard: 3, Offset: int64(i), Arrival: 1_700_000_000_999})
		}
		if b.Len() != 3 || b.Bytes() <= 0 {
			t.Errorf("builder has %d rows, %d bytes", b.Len(), b.Bytes())
		}
		rec := b.Batch()
		v, err := Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`1001 9223372036854775807 1700000000123 3 0 1700000000999 "edit" "" "s1" "r1" "k" "n" "v" "de" "en" "ua" "::1" ` +
				`"{\"id\":\"u\"}" "{\"prodVersion\":\"1\"}" "c" "m" "msg" "at" "{\"a\":1}" "-1.50" value -1.500000000 runtime 0 offline false`,
			`1 2 3 3 1 1700000000999 "x" - - "r2" - - - - - - - - - - - - - - -`,
			`1 2 -9223372036854775 3 2 1700000000999 "edit" "c" - "r3" - - - - - - - - - "" - - - - -`,
		}
		for i := range want {
			if diff := cmp.Diff(want[i], row(&v, i)); diff != "" {
				t.Errorf("row %d: %s", i, diff)
			}
		}
		if v.Name.Code(0) != v.Name.Code(2) || v.Name.Code(0) == v.Name.Code(1) || v.Name.DictionaryLen() != 2 {
			t.Errorf("codes of name: %d %d %d of %d", v.Name.Code(0), v.Name.Code(1), v.Name.Code(2), v.Name.DictionaryLen())
		}
		rec.Release()
	}
}

func TestViewOfFewColumns(t *testing.T) {
	b := NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i, e := range events() {
		b.Append(&e, Position{Offset: int64(i)})
	}
	rec := b.Batch()
	defer rec.Release()
	part := rec.NewSlice(1, 3)
	defer part.Release()
	v, err := Bind(part)
	if err != nil {
		t.Fatal(err)
	}
	if v.Rows != 2 || v.Name.At(0) != "x" || v.Name.At(1) != "edit" || v.Offset[1] != 2 {
		t.Errorf("slice: %d rows, names %q %q, offset %d", v.Rows, v.Name.At(0), v.Name.At(1), v.Offset[1])
	}
	var none View
	if !none.Name.Null(0) || none.Name.At(0) != "" || !none.Value.Null(0) || !none.Runtime.Null(0) || !none.Offline.Null(0) {
		t.Error("a view without columns has values")
	}
}

func TestAppendDoesNotAllocatePerRow(t *testing.T) {
	b := NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	e := events()[0]
	for range 5000 {
		b.Append(&e, Position{})
	}
	if n := testing.AllocsPerRun(1000, func() { b.Append(&e, Position{}) }); n > 1 {
		t.Errorf("%v allocations a row", n)
	}
}
