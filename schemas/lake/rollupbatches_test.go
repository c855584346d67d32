package lake_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// batchLines returns what lines makes of each batch.
func batchLines[B any](t *testing.T, batches iter.Seq2[*B, error], lines func(*B) []string) (out []string) {
	t.Helper()
	for b, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lines(b)...)
	}
	return out
}

func dayLines(b *rollup.DayBatch) (out []string) {
	for i, code := range b.Client.Codes {
		line := fmt.Sprint(b.Client.Values[code], " ", b.Day[i])
		if b.Sessions != nil {
			line += fmt.Sprint(" ", b.Sessions[i], " ", b.RuntimeMS[i])
		}
		if b.Properties != nil {
			line += " " + strings.TrimPrefix(b.Properties[i], "[]") // nothing said is written as no text
		}
		out = append(out, line)
	}
	return out
}

func eventLines(b *rollup.EventBatch) (out []string) {
	for i, code := range b.Client.Codes {
		category := "none"
		if of := b.Category.Codes[i]; of >= 0 {
			category = b.Category.Values[of]
		}
		line := fmt.Sprint(b.Client.Values[code], " ", b.Day[i], " ", category, " ", b.Name.Values[b.Name.Codes[i]], " ", b.Count[i])
		if b.ValueCount != nil {
			line += fmt.Sprint(" ", b.ValueSum[i].BigInt(), " ", b.ValueCount[i])
		}
		if b.First != nil {
			line += fmt.Sprint(" ", b.First[i])
		}
		out = append(out, line)
	}
	return out
}

// TestBatchesEqualRows compares columns as a report reads them with the rows
// they were made from: those of data files, and those of the set that was
// written.
func TestBatchesEqualRows(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	set := rollup.NewSet()
	for _, rec := range buildBatches(t, memory.DefaultAllocator, 0, 0, 300, withStorableTimes(randomEvents(newTraffic(3, 50).r, 4000))) {
		if err := set.AddBatch(rec); err != nil {
			t.Fatal(err)
		}
	}
	files, err := l.WriteRollups(t.Context(), 0, set)
	if err != nil {
		t.Fatal(err)
	}
	var days, sums, events []string
	for r, err := range l.ScanClientDays(t.Context(), files[lake.ClientDays], columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		days = append(days, fmt.Sprint(r.Client, " ", r.Day))
		sums = append(sums, fmt.Sprint(r.Client, " ", r.Day, " ", r.Sessions, " ", r.RuntimeMS, " ", strings.TrimPrefix(string(r.Properties.AppendJSON(nil)), "[]")))
	}
	for r, err := range l.ScanEventDays(t.Context(), files[lake.EventDays], columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		category := "none"
		if r.HasCategory {
			category = r.Category
		}
		events = append(events, fmt.Sprint(r.Client, " ", r.Day, " ", category, " ", r.Name, " ", r.Count, " ", r.ValueSum.BigInt(), " ", r.ValueCount, " ", r.First))
	}
	same := func(what string, want, got []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || len(want) < 50 {
			t.Errorf("%s, %d rows (-want +got):\n%s", what, len(want), diff)
		}
	}
	ctx, none := t.Context(), columns.Filter{}
	same("days", days, batchLines(t, l.DayBatches(ctx, files[lake.ClientDays], none, 0), dayLines))
	same("days with all", sums, batchLines(t, l.DayBatches(ctx, files[lake.ClientDays], none, rollup.WantAll), dayLines))
	same("events", events, batchLines(t, l.EventBatches(ctx, files[lake.EventDays], none, rollup.WantAll), eventLines))
	inSet := func(lines []string) []string { return slices.Sorted(slices.Values(lines)) }
	same("days of the set", inSet(sums), inSet(batchLines(t, withoutErrors(set.DayBatches(rollup.WantAll)), dayLines)))
	same("events of the set", inSet(events), inSet(batchLines(t, withoutErrors(set.EventBatches()), eventLines)))
}

// withoutErrors are batches without an error.
func withoutErrors[B any](batches iter.Seq[*B]) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		batches(func(b *B) bool { return yield(b, nil) })
	}
}

// foreignDay is a client day as another engine may have rewritten it.
type foreignDay struct {
	Sessions   int64   `parquet:"sessions,id(5),delta"`
	Runtime    int64   `parquet:"runtime_ms,id(6),dict"`
	Client     int64   `parquet:"client_id,id(2),dict"`
	Product    int64   `parquet:"product_id,id(1),plain"`
	Day        int32   `parquet:"day,id(3),date,plain"`
	Properties *string `parquet:"properties,id(9),dict"`
}

// TestForeignBatches: clients come dictionary-encoded, also where the file does
// not encode them so.
func TestForeignBatches(t *testing.T) {
	const n = 40_000 // more than a batch
	rows, want := make([]foreignDay, n), make([]string, n)
	for i := range rows {
		r := foreignDay{Product: 1, Client: int64(i*i%977) + 1, Day: int32(i / 100), Sessions: int64(i % 7), Runtime: int64(i)}
		properties := ""
		if i%3 > 0 {
			properties = fmt.Sprintf(`[{"t":%d,"o":1,"v":{"C01":"x"}}]`, i)
			r.Properties = &properties
		}
		rows[i], want[i] = r, fmt.Sprint(r.Client, " ", r.Day, " ", r.Sessions, " ", r.Runtime, " ", properties)
	}
	for name, options := range map[string][]parquet.WriterOption{
		"pages of version 1":         {parquet.DataPageVersion(1), parquet.PageBufferSize(2000)},
		"dictionaries that overflow": {parquet.DictionaryMaxBytes(600), parquet.PageBufferSize(1000)},
		"many row groups":            {parquet.DictionaryMaxBytes(600), parquet.PageBufferSize(1000), parquet.MaxRowsPerRowGroup(1500)},
	} {
		t.Run(name, func(t *testing.T) {
			l, file := foreignFile(t, lake.Config{}, rows, options)
			got := batchLines(t, l.DayBatches(t.Context(), []lake.DataFile{file}, columns.Filter{}, rollup.WantAll), dayLines)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			some := batchLines(t, l.DayBatches(t.Context(), []lake.DataFile{file}, columns.Filter{Clients: []int64{1, 2, 5}}, 0), dayLines)
			if len(some) == 0 || len(some) == len(rows) {
				t.Errorf("%d rows of three clients", len(some))
			}
		})
	}
}
