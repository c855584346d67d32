package topic

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
)

var update = flag.Bool("update", false, "rewrite testdata; only to add records")

// releasedRecords reads records of released versions from file. With -update it first
// writes those that samples returns.
func releasedRecords[R any](t *testing.T, file string, samples func() map[string]R) map[string]R {
	t.Helper()
	if *update {
		out, err := json.MarshalIndent(samples(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(out, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]R
	if err := json.Unmarshal(in, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReleasedRecords decodes the bytes of every released version. The file is
// only ever added to: what was written once must stay readable permanently.
func TestReleasedRecords(t *testing.T) {
	const file = "../testdata/records-v1.json"
	type released struct {
		Record string        `json:"record"` // hex
		Event  schemas.Event `json:"event"`
		Value  string        `json:"value,omitempty"` // of the event, as text
	}
	text := func(e *schemas.Event) (s string) {
		if e.Value != nil {
			s = string(schemas.AppendDecimal(nil, *e.Value, schemas.ValueScale))
			e.Value = nil
		}
		return s
	}
	all := releasedRecords(t, file, func() map[string]released {
		all := make(map[string]released)
		for name, e := range samples() {
			record := hex.EncodeToString(Append(nil, &e))
			value := text(&e)
			all[name] = released{record, e, value}
		}
		return all
	})
	for name, want := range all {
		record, err := hex.DecodeString(want.Record)
		if err != nil {
			t.Fatal(err)
		}
		var got schemas.Event
		if kind, err := Decode(record, &got); kind != Event || err != nil {
			t.Errorf("%s: Decode = %v, %v", name, kind, err)
		}
		if value := text(&got); value != want.Value {
			t.Errorf("%s: value = %s, want %s", name, value, want.Value)
		}
		if diff := cmp.Diff(want.Event, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(all) < len(samples()) {
		t.Errorf("%d records in %s, want at least %d", len(all), file, len(samples()))
	}
}

// TestReleasedChanges is TestReleasedRecords of changes, which came later.
func TestReleasedChanges(t *testing.T) {
	const file = "../testdata/changes-v1.json"
	type released struct {
		Record string         `json:"record"` // hex
		Change schemas.Change `json:"change"`
	}
	all := releasedRecords(t, file, func() map[string]released {
		all := make(map[string]released)
		for name, c := range changeSamples() {
			all[name] = released{hex.EncodeToString(AppendChange(nil, &c)), c}
		}
		return all
	})
	for name, want := range all {
		record, err := hex.DecodeString(want.Record)
		if err != nil {
			t.Fatal(err)
		}
		var e schemas.Event
		kind, err := Decode(record, &e)
		if got := kind.Change(&e); err != nil || !cmp.Equal(got, want.Change) {
			t.Errorf("%s: Decode = %+v, %v; want %+v", name, got, err, want.Change)
		}
	}
	if len(all) < len(changeSamples()) {
		t.Errorf("%d records in %s, want at least %d", len(all), file, len(changeSamples()))
	}
}
