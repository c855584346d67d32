package ingest

import (
	"errors"
	"strings"
	"testing"

	"weir/schemas"
)

// TestClientsYetToBeGivenOut: their events are refused, at once taken when the
// number is given out, whoever gave it, and the registry is asked no more than
// it must be.
func TestClientsYetToBeGivenOut(t *testing.T) {
	e := &Service{deps: Deps{Registry: newDirectory()}}
	keys := e.deps.Registry.(*directory)
	const first = 1 << 52
	report := func(clients ...int64) error {
		var events []schemas.Event
		for _, c := range clients {
			events = append(events, schemas.Event{Product: 1001, Client: c})
		}
		return e.givenOut(t.Context(), 1001, events)
	}
	if err := report(1, first-1, 1<<53, 1<<62); err != nil || keys.asked != 0 {
		t.Errorf("numbers of others: %v, asked %d times", err, keys.asked)
	}
	re, ok := errors.AsType[*schemas.RequestError](report(7, first))
	if !ok || re.Status != 400 || len(re.Items) != 1 || re.Items[0].Index != 1 || re.Items[0].Field != "euid" ||
		!strings.Contains(re.Detail, "data[1].euid has not been given out") {
		t.Errorf("a number of the next client: %+v", re)
	}
	keys.next[1001] = first + 2
	for range 3 {
		if err := report(first, first+1); err != nil {
			t.Errorf("given out: %v", err)
		}
	}
	if keys.asked != 2 {
		t.Errorf("asked %d times, want once more", keys.asked)
	}
	if err := report(first, first+2); err == nil {
		t.Error("one more than was given out is taken")
	}
	if err := report(1<<53 - 1); err == nil {
		t.Error("the last of the range is taken")
	}
}
