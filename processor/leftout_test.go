package processor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
	"weir/schemas/topic"
)

// TestNewNamesInEveryEvent cuts events of one client with 500 new names each: the rows
// of rollups stay small, what is left out is counted, and the events have everything.
func TestNewNamesInEveryEvent(t *testing.T) {
	const events, names = 60, 500
	l := laketest.Lake(t, lake.Config{})
	w := &worker{lake: l, encodeSlots: make(chan struct{}, 1)}
	var records []*kgo.Record
	for i := range events {
		var members []string
		for k := range names {
			members = append(members, fmt.Sprintf(`"n%06d":"v"`, i*names+k))
		}
		e := schemas.Event{
			Product: 1, Client: 7, Time: 1_700_000_000_000 + int64(i), Name: "a", RandomID: fmt.Sprint(i),
			ClientProps: []byte(`{` + strings.Join(members, ",") + fmt.Sprintf(`,"prodVersion":"%d"}`, i)),
		}
		records = append(records, &kgo.Record{
			Topic: topic.Name, Offset: int64(i), Timestamp: time.UnixMilli(e.Time), Key: topic.Key(nil, 1, 7), Value: topic.Append(nil, &e),
		})
	}
	g := newTestGatherer(t)
	defer g.buffer.stop()
	defer g.dedupe.Close()
	takeAll(t, g, records)
	c := g.seal(time.Now())
	defer release(c.rows)
	files := map[lake.Table][]lake.DataFile{}
	if err := w.writeFiles(t.Context(), c, files); err != nil {
		t.Fatal(err)
	}
	if want := int64(events*names - (rollup.MaxOtherProperties + 1)); c.propertiesLeftOut < want {
		t.Errorf("%d properties are counted as left out, want %d at least", c.propertiesLeftOut, want)
	}
	rows := 0
	for row, err := range l.ScanClients(t.Context(), files[lake.Clients], columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		last := row.Properties[len(row.Properties)-1]
		if rows++; len(row.Properties) != rollup.MaxOtherProperties+2 || last.Name != "prodVersion" || last.Value != `"59"` {
			t.Errorf("a row of %d properties, the last %+v", len(row.Properties), last)
		}
	}
	seen := map[string]bool{}
	for rec, err := range l.ScanEvents(t.Context(), files[lake.Events], []string{columns.Client}, columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Rows {
			for _, p := range rollup.ParseClientProperties(v.ClientProps.At(i)) {
				seen[strings.Clone(p.Name)] = true
			}
		}
	}
	if rows != 1 || len(seen) != events*names+1 {
		t.Errorf("%d rows of clients, %d names in events; want 1 and %d: %s", rows, len(seen), events*names+1, cmp.Diff(slices.Sorted(maps.Keys(seen))[:1], []string{"n000000"}))
	}
}
