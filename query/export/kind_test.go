package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
)

var update = flag.Bool("update", false, "rewrite testdata")

// sample has an event of each sort there is.
func sample() []schemas.Event {
	text := func(s string) *string { return &s }
	ms := func(n int64) *int64 { return &n }
	decimal := func(hi int64, lo uint64) *decimal128.Num { n := decimal128.New(hi, lo); return &n }
	const client = 8404172500676253691
	offline := true
	full := []byte(`{"prodEdition":"Pro","prodVersion":"3.1","prodBuild":"951","prodLanguage":"de","licenseType":"purchased",` +
		`"licenseStatus.activated":true,"licenseStatus.expired":false,"os.version":"MS Win 10","osWordLength":"64-bit","osLanguage":"de",` +
		`"cpuType":"Intel \"Core\" i7","cpuCores":4,"ram":8192,"displayCount":1,"resolution":"1920x1080","dotNetVersion":"2.0;3.5 SP1",` +
		`"gpu.model":"GTX, 980","formFactor":"Laptop","geography.country":"DE","geography.usState":null,"C01":"own"}`)
	return []schemas.Event{
		{
			Product: 1001, Client: client, Time: 1709284500000, Name: "Open", RandomID: "r-1", Category: text("File"),
			Value: decimal(0, 2_500_000_000), AppKey: "app", SessionID: "s-1", ClientProps: full,
			Properties: []byte(`{"Key1":"Value1","n":1.50,"ok":true,"none":null,"deep":{"a": [1, "x,y"]}}`),
		},
		{
			Product: 1001, Client: 42, Time: -1, Name: "Save\nall", RandomID: "r,2",
			ClientProps: []byte(`{"prodVersion":"<NULL>","prodBuild":"","resolutionWidth":800,"resolutionHeight":600,"licenseStatus.blocked":1}`),
		},
		{Product: 1001, Client: 42, Time: 1709284501042, Name: "session_start", RandomID: "r-3", SessionID: "s-2"},
		{Product: 1001, Client: 42, Time: 1709284502000, Name: "session_stop", RandomID: "r-4", SessionID: "s-2", RuntimeMS: ms(12345)},
		{
			Product: 1001, Client: 42, Time: 1709284503000, Name: "exception", RandomID: "r-5", ClientProps: full,
			Exception: &schemas.Exception{Class: "IOError", Method: "File.read", Message: `no "such" file`, Stack: "at a\r\nat b"},
		},
		{Product: 1001, Client: 42, Time: 1709284504000, Name: "crash", RandomID: "r-6", Exception: &schemas.Exception{Message: "=1+1"}},
		{Product: 1001, Client: 42, Time: 1709284505000, Name: "empty", RandomID: "r-8", Exception: &schemas.Exception{}, Offline: new(bool)},
		{
			Product: 1001, Client: 42, Time: 1709284505500, Name: "all", RandomID: "r-9", AppName: "Anvil, \"Pro\"", AppVersion: "3.1",
			ContentLocale: "de-AT", UILocale: "en", Offline: &offline, UserAgent: "Mozilla/5.0 (X11; Linux)", IP: "192.0.2.1",
			User: []byte(`{"id":"ann","realm":["eu"],"groups":[]}`), ClientProps: []byte(`{"geography.country":"AT","ram":null}`),
		},
		{Product: 1001, Client: 42, Time: 1709284505999, Name: "grüße", RandomID: "r-7", Value: decimal(-1, 1<<64-1), ValueText: "-1.0e-9", Category: text("")},
	}
}

// batches gives rows as a scan does: a batch is gone when the next one is
// asked for.
func batches(t testing.TB, events []schemas.Event, size int) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		b := columns.NewBuilder(mem)
		defer b.Release()
		for n := range events {
			b.Append(&events[n], columns.Position{Shard: 2, Offset: int64(100 + n), Arrival: 1709337600000 + int64(n)})
			if b.Len() < size && n < len(events)-1 {
				continue
			}
			rec := b.Batch()
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}
}

func TestFiles(t *testing.T) {
	for _, k := range Kinds() {
		for _, size := range []int{1, 3, 100} {
			var got bytes.Buffer
			rows, err := writeCSV(t.Context(), k, &got, batches(t, sample(), size))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, k.Code+".csv", got.Bytes())
			records, err := csv.NewReader(&got).ReadAll()
			if err != nil || int64(len(records)) != rows+1 {
				t.Errorf("%s: %d records, %v; want a header and %d", k.Code, len(records), err, rows)
			}
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestKindsDivideEvents proves that every event is in the raw file, and in one
// other at most.
func TestKindsDivideEvents(t *testing.T) {
	events := sample()
	rows := NewRows()
	for rec, err := range batches(t, events, 100) {
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Bind(rec); err != nil {
			t.Fatal(err)
		}
		for i := range rows.Rows {
			var in []string
			for _, k := range Kinds() {
				if k.Wants(rows, i) {
					in = append(in, k.Code)
				}
			}
			want := map[string]string{
				"empty": "[exc raw]", "session_start": "[raw]", "session_stop": "[raw]", "exception": "[exc raw]", "crash": "[exc raw]",
			}[events[i].Name]
			if want == "" {
				want = "[cust raw]"
			}
			if got := fmt.Sprint(in); got != want {
				t.Errorf("%s is in %s, want %s", events[i].Name, got, want)
			}
		}
	}
}

func TestScanFails(t *testing.T) {
	broken := func(yield func(arrow.Record, error) bool) { yield(nil, io.ErrUnexpectedEOF) }
	if _, err := writeCSV(t.Context(), RawEvents(), io.Discard, broken); err != io.ErrUnexpectedEOF { //nolint:errorlint // it comes through as it is
		t.Errorf("err = %v, want %v", err, io.ErrUnexpectedEOF)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := writeCSV(ctx, RawEvents(), io.Discard, batches(t, sample(), 1)); err != context.Canceled { //nolint:errorlint // it comes through as it is
		t.Errorf("err = %v, want %v", err, context.Canceled)
	}
}

func TestEventData(t *testing.T) {
	check := func(object, want string) {
		t.Helper()
		var d eventData
		if got := string(d.append([]byte("x"), object)); got != "x"+want {
			t.Errorf("data of %s = %s, want %s", object, got[1:], want)
		}
	}
	check("", "")
	check("{}", "")
	check(`{"k":"v"}`, "(k,v)")
	check(`{"Key1":"Value1","Key2":"Value2"}`, "(Key1,Value1)&&(Key2,Value2)")
	check(`{ "a" : 1 , "b" : [ 1, { "c" : "d" } ] }`, `(a,1)&&(b,[1,{"c":"d"}])`)
	check(`{"a":[ "\u0061\/", 1.0 ],"b":{ "c":"\u0061" }}`, `(a,["a/",1.0])&&(b,{"c":"\u0061"})`)
	check(`{"quote\"d":"é\n","n":null,"t":true}`, "(quote\"d,é\n)&&(n,)&&(t,true)")
	check(`{"broken":`, `{"broken":`)
}

func TestDecimal(t *testing.T) {
	check := func(n decimal128.Num, scale int, want string) {
		t.Helper()
		if got := string(appendDecimal(nil, n, scale)); got != want {
			t.Errorf("%s e-%d = %q, want %q", n.BigInt(), scale, got, want)
		}
	}
	check(decimal128.FromI64(0), 9, "0")
	check(decimal128.FromI64(1_000_000_000), 9, "1")
	check(decimal128.FromI64(-2_500_000_000), 9, "-2.5")
	check(decimal128.FromI64(1), 9, "0.000000001")
	check(decimal128.FromI64(12345), 3, "12.345")
	check(decimal128.FromI64(12_018_526_000), 3, "12018526")
	check(decimal128.GetMaxValue(38), 9, strings.Repeat("9", 29)+"."+strings.Repeat("9", 9))
	check(decimal128.GetMaxValue(38).Negate(), 9, "-"+strings.Repeat("9", 29)+"."+strings.Repeat("9", 9))
}

func TestFileNames(t *testing.T) {
	day, _ := ParsePeriod("2024-03-01", "2024-03-01")
	month := MonthOf(day.First)
	check := func(k Kind, d Period, want string) {
		t.Helper()
		name := k.FileName(11111, d)
		if name != want {
			t.Errorf("name = %s, want %s", name, want)
		}
		if back, ok := k.PeriodOf(11111, name); !ok || back != d {
			t.Errorf("days of %s = %v, %v; want %v", name, back, ok, d)
		}
	}
	check(CustomEvents(), day, "11111_cust_2024-03-01.zip")
	check(CustomEvents(), month, "11111_cust_2024-03-01_to_2024-03-31.zip")
	check(Exceptions(), day, "11111_exc_2024-03-01.zip")
	check(RawEvents(), day, "11111_2024-03-01.zip")
	for _, name := range []string{
		"", "11111_cust_2024-03-01", "11111_exc_2024-03-01.zip", "1_cust_2024-03-01.zip", "11111_cust_2024-3-1.zip",
		"11111_cust_2024-02-30.zip", "11111_cust_2024-03-01.zip.zip", "../11111_cust_2024-03-01.zip", "11111_cust_2024-03-01_to_2024-03-01.zip",
		"011111_cust_2024-03-01.zip", "11111_cust_2024-03-01_to_.zip",
	} {
		if d, ok := CustomEvents().PeriodOf(11111, name); ok {
			t.Errorf("%q was read as %v", name, d)
		}
	}
}

// FuzzFileName: a name that is read is the name that would be given.
func FuzzFileName(f *testing.F) {
	f.Add("11111_cust_2024-03-01.zip")
	f.Add("11111_cust_2024-03-01_to_2024-03-31.zip")
	f.Add("11111_cust_2024-03-01_to_.zip")
	f.Fuzz(func(t *testing.T, name string) {
		k := CustomEvents()
		if d, ok := k.PeriodOf(11111, name); ok && k.FileName(11111, d) != name {
			t.Errorf("%q was read as %s to %s", name, d.FirstDay(), d.LastDay())
		}
	})
}

// FuzzProps: whatever stands in $client or in the properties, a row comes out,
// and it is the same each time.
func FuzzProps(f *testing.F) {
	f.Add(`{"prodVersion":"1","ram":8}`, `{"a":{"b":[1,"x"]}}`)
	f.Add(`{`, `[`)
	f.Add(`{"ram":{}}`, `{"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, client, properties string) {
		p, d := ownValues(CustomEvents()), &eventData{}
		texts := func() string { return strings.Join(p.at(1, stamp{}, p.objects.propertySetOf(client)).texts, "|") }
		first := texts() + string(d.append(nil, properties))
		_, _ = p.objects.propertySetOf(`{"ram":1}`), d.append(nil, `{"other":true}`)
		if again := texts() + string(d.append(nil, properties)); again != first {
			t.Errorf("%q then %q", first, again)
		}
	})
}
