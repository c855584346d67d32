package lake_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// openByParquetGo opens a data file with the reader of parquet-go, which knows
// nothing of ours.
func openByParquetGo(t *testing.T, w *laketest.Backend, f lake.DataFile) *parquet.File {
	t.Helper()
	body, err := w.Store.Get(t.Context(), f.Path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// eventsOfOneMonth makes n events with every combination of fields.
func eventsOfOneMonth(n int) []schemas.Event {
	events := randomEvents(rand.New(rand.NewPCG(7, 7)), n)
	for i := range events {
		events[i].Time = 1_700_000_000_000 + int64(i)
	}
	return events
}

// TestBoundsHoldForEveryPage reads each page with another reader and compares its
// values with the bounds that the page index, the footer and the manifest give.
func TestBoundsHoldForEveryPage(t *testing.T) {
	w := laketest.New()
	l := open(t, w)
	written, err := l.WriteEvents(t.Context(), 3, buildBatches(t, memory.DefaultAllocator, 3, 0, 4096, eventsOfOneMonth(30_000)))
	if err != nil {
		t.Fatal(err)
	}
	file, entry, bounded := openByParquetGo(t, w, written[0]), written[0].Entry(), 0
	for _, g := range file.RowGroups() {
		for i, chunk := range g.ColumnChunks() {
			c := &boundsCheck{t: t, name: file.Schema().Fields()[i].Name(), decimal: chunk.Type().Kind() == parquet.FixedLenByteArray, chunk: chunk}
			low, high := entry.LowerBoundValues()[i+1], entry.UpperBoundValues()[i+1]
			if low == nil {
				continue
			}
			bounded++
			c.pages(low, high)
		}
	}
	if bounded < 24 {
		t.Errorf("%d columns of row groups have bounds", bounded)
	}
	for _, column := range []string{columns.Value, columns.RandomID, columns.SessionID, columns.User, columns.AppVersion, columns.Properties} {
		if id := columns.Schema().FieldIndices(column)[0] + 1; entry.LowerBoundValues()[id] == nil || entry.UpperBoundValues()[id] == nil {
			t.Errorf("the manifest has no bounds of %s", column)
		}
	}
}

// boundsCheck compares the bounds of a column of a row group with its values.
type boundsCheck struct {
	t       *testing.T
	name    string
	decimal bool
	chunk   parquet.ColumnChunk
}

// compare orders two values of the column in Parquet's form.
func (c *boundsCheck) compare(a, b parquet.Value) int {
	if c.decimal {
		return decimalOf(a.ByteArray()).Cmp(decimalOf(b.ByteArray()))
	}
	return c.chunk.Type().Compare(a, b)
}

// decimalOf returns the number that big-endian bytes are in two's complement.
func decimalOf(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// pages checks the bounds and the order of all pages. low and high are those of
// the manifest.
func (c *boundsCheck) pages(low, high []byte) {
	index, err := c.chunk.ColumnIndex()
	if err != nil {
		c.t.Fatal(err)
	}
	pages := c.chunk.Pages()
	defer pages.Close()
	var lows, highs []parquet.Value
	for n := 0; ; n++ {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.t.Fatal(err)
		}
		values := c.values(page)
		if index.NullPage(n) != (len(values) == 0) {
			c.t.Errorf("%s: page %d has %d values, null page: %v", c.name, n, len(values), index.NullPage(n))
		}
		if len(values) == 0 {
			continue
		}
		lows, highs = append(lows, index.MinValue(n)), append(highs, index.MaxValue(n))
		for _, v := range values {
			c.contains(index.MinValue(n), index.MaxValue(n), v)
		}
		c.manifest(low, high, values)
	}
	c.order(index, lows, highs)
}

// values returns the values of a page, nulls left out.
func (c *boundsCheck) values(page parquet.Page) []parquet.Value {
	values := make([]parquet.Value, page.NumValues())
	n, err := page.Values().ReadValues(values)
	if err != nil && !errors.Is(err, io.EOF) {
		c.t.Fatal(err)
	}
	return slices.DeleteFunc(values[:n], parquet.Value.IsNull)
}

func (c *boundsCheck) contains(low, high, v parquet.Value) {
	if c.compare(low, v) > 0 || c.compare(v, high) > 0 {
		c.t.Fatalf("%s: %q is not between %q and %q", c.name, v, low, high)
	}
}

// manifest compares values with the bounds of the manifest, which are those of
// Iceberg.
func (c *boundsCheck) manifest(low, high []byte, values []parquet.Value) {
	for _, v := range values {
		switch {
		case c.decimal && (decimalOf(low).Cmp(decimalOf(v.ByteArray())) > 0 || decimalOf(v.ByteArray()).Cmp(decimalOf(high)) > 0):
			c.t.Fatalf("%s: %x is not between %x and %x of the manifest", c.name, v.ByteArray(), low, high)
		case v.Kind() == parquet.ByteArray && (bytes.Compare(low, v.ByteArray()) > 0 || bytes.Compare(v.ByteArray(), high) > 0):
			c.t.Fatalf("%s: %q is not between %q and %q of the manifest", c.name, v, low, high)
		}
	}
	if len(low) > 32 || len(high) > 32 {
		c.t.Errorf("%s: the manifest has bounds of %d and %d bytes", c.name, len(low), len(high))
	}
}

// order checks that the index claims the order that its bounds have.
func (c *boundsCheck) order(index parquet.ColumnIndex, lows, highs []parquet.Value) {
	ascends := slices.IsSortedFunc(lows, c.compare) && slices.IsSortedFunc(highs, c.compare)
	if index.IsAscending() != ascends {
		c.t.Errorf("%s: bounds of pages ascend: %v, the index says %v", c.name, ascends, index.IsAscending())
	}
	descend := func(a, b parquet.Value) int { return c.compare(b, a) }
	if descends := slices.IsSortedFunc(lows, descend) && slices.IsSortedFunc(highs, descend); index.IsDescending() != (descends && !ascends) {
		c.t.Errorf("%s: bounds of pages descend: %v, the index says %v", c.name, descends, index.IsDescending())
	}
}

// TestBoundsOfLongTextAndDecimals checks the exact bounds in a manifest.
func TestBoundsOfLongTextAndDecimals(t *testing.T) {
	text := strings.Repeat("z", 40)
	last := strings.Repeat("\U0010FFFF", 12)
	for _, c := range []struct {
		name      string
		text      [2]string
		low, high any // nil: none
	}{
		{"short", [2]string{"a", "b"}, "a", "b"},
		{"long", [2]string{text, text + "1"}, text[:32], text[:31] + "{"},
		{"cut between characters", [2]string{strings.Repeat("ä", 20), strings.Repeat("aä", 20)}, "aäaäaäaäaäaäaäaäaäaäa", strings.Repeat("ä", 15) + "å"},
		{"nothing can be raised", [2]string{"a", last}, "a", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			entry := entryOf(t, c.text, [2]int64{-300, 5})
			check := func(column string, bounds map[int][]byte, want any) {
				t.Helper()
				id := columns.Schema().FieldIndices(column)[0] + 1
				var got any
				if b := bounds[id]; b != nil {
					got = string(b)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", column, diff)
				}
			}
			for _, column := range []string{columns.Name, columns.SessionID, columns.RandomID} {
				check(column, entry.LowerBoundValues(), c.low)
				check(column, entry.UpperBoundValues(), c.high)
			}
			check(columns.Value, entry.LowerBoundValues(), "\xfe\xd4")
			check(columns.Value, entry.UpperBoundValues(), "\x05")
		})
	}
}

// entryOf writes two events with those texts and unscaled values.
func entryOf(t *testing.T, text [2]string, values [2]int64) iceberg.DataFile {
	t.Helper()
	var events []schemas.Event
	for i, s := range text {
		events = append(events, schemas.Event{
			Product: 1, Client: 1, Time: 1_700_000_000_000, Name: s, RandomID: s, SessionID: s, Value: new(decimal128.FromI64(values[i])),
		})
	}
	written, err := laketest.Lake(t, lake.Config{}).WriteEvents(t.Context(), 0, buildBatches(t, memory.DefaultAllocator, 0, 0, 10, events))
	if err != nil {
		t.Fatal(err)
	}
	return written[0].Entry()
}

// TestSortingColumns checks that row groups declare an order, and no more of it
// than their rows have.
func TestSortingColumns(t *testing.T) {
	w := laketest.New()
	l := open(t, w)
	written, err := l.WriteEvents(t.Context(), 3, buildBatches(t, memory.DefaultAllocator, 3, 0, 4096, eventsOfOneMonth(3000)))
	if err != nil {
		t.Fatal(err)
	}
	letters, err := l.WriteDeadLetters(t.Context(), 3, []lake.DeadLetter{{Shard: 3, Offset: 1, Arrival: 5, Reason: "r"}})
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]lake.DataFile{columns.ProductID: written[0], columns.Offset: letters[0]} {
		for _, g := range openByParquetGo(t, w, f).RowGroups() {
			got := g.SortingColumns()
			if len(got) != 1 || got[0].Path()[0] != want || got[0].Descending() || !got[0].NullsFirst() {
				t.Errorf("%s: sorting columns %v, want %s ascending", f.Path, got, want)
			}
		}
	}
}

// TestBloomFilters asks the bloom filters of random_id, by another reader, for each value
// of its row group and for others. No other column has one.
func TestBloomFilters(t *testing.T) {
	const rows, others = 70_000, 20_000 // several row groups
	w := laketest.New()
	l := open(t, w)
	files, err := l.WriteEvents(t.Context(), 3, buildBatches(t, memory.DefaultAllocator, 3, 0, 4096, eventsOfOneMonth(rows)))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := l.Merge(t.Context(), lake.Events, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Concat(files, merged) {
		file := openByParquetGo(t, w, f)
		if n := len(file.RowGroups()); n < 2 {
			t.Errorf("%d row groups, want several", n)
		}
		for _, g := range file.RowGroups() {
			for i, chunk := range g.ColumnChunks() {
				name, filter := file.Schema().Fields()[i].Name(), chunk.BloomFilter()
				if (filter != nil) != (name == columns.RandomID) {
					t.Errorf("column %s has a bloom filter: %v", name, filter != nil)
				}
				if filter != nil {
					checkBloomFilter(t, chunk, filter, others)
				}
			}
		}
	}
}

// checkBloomFilter asks filter for each value of chunk, and for n that it lacks.
func checkBloomFilter(t *testing.T, chunk parquet.ColumnChunk, filter parquet.BloomFilter, n int) {
	t.Helper()
	pages := chunk.Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		values := make([]parquet.Value, page.NumValues())
		if _, err := page.Values().ReadValues(values); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		for _, v := range values {
			if ok, err := filter.Check(v); err != nil || !ok {
				t.Fatalf("%s is not in its bloom filter: %v", v, err)
			}
		}
	}
	wrong := 0
	for i := range n {
		ok, err := filter.Check(parquet.ValueOf(fmt.Sprint("no id of any event ", i)))
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			wrong++
		}
	}
	if wrong > n/40 {
		t.Errorf("%d of %d values that the row group lacks seem to be in it, want 2.5 %% at most", wrong, n)
	}
}
