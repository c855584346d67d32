package lake

import (
	"encoding/json"
	"testing"
)

// TestHolesForAVersionBefore encodes counters with holes. A version that does not know
// them finds them in control, so that its sum closes, and this one reads them back.
func TestHolesForAVersionBefore(t *testing.T) {
	want := Counters{Stored: 4, Changes: 1, Duplicates: 3, Dead: 2, Control: 5, Lost: 6, Holes: 7, Erased: 1}
	text, err := json.Marshal(ShardState{Counters: want})
	if err != nil {
		t.Fatal(err)
	}
	var before struct {
		Counters struct{ Stored, Duplicates, Dead, Control, Lost int64 }
	}
	if err := json.Unmarshal(text, &before); err != nil {
		t.Fatal(err)
	}
	if c := before.Counters; c.Control != 12 || c.Stored+c.Duplicates+c.Dead+c.Control+c.Lost != want.Sum() {
		t.Errorf("a version before reads %+v of %s, want a sum of %d", c, text, want.Sum())
	}
	var state ShardState
	if err := json.Unmarshal(text, &state); err != nil || state.Counters != want {
		t.Errorf("read back %+v, %v; want %+v", state.Counters, err, want)
	}
	if err := json.Unmarshal([]byte(`{"counters":{"stored":1,"control":2}}`), &state); err != nil || state.Counters != (Counters{Stored: 1, Control: 2}) {
		t.Errorf("of a version before: %+v, %v", state.Counters, err)
	}
}
