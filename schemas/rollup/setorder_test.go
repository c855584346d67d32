package rollup

import (
	"fmt"
	"testing"

	"weir/schemas"
)

// TestOrderOfManyNames has more names than fit a byte, of which some differ only in
// their category.
func TestOrderOfManyNames(t *testing.T) {
	var events []schemas.Event
	for i := range 3000 {
		e := schemas.Event{Product: 1, Client: int64(i%2) + 1, Name: fmt.Sprint(i * 7919 % 1000), RandomID: fmt.Sprint(i)}
		if i%3 > 0 {
			e.Category = new(fmt.Sprint("name"[:i%3-1], i%5))
		}
		events = append(events, e)
	}
	rows, last := 0, EventDay{}
	for d := range newSetOf(t, 0, events...).EventDays() {
		if last.Compare(d) >= 0 {
			t.Fatalf("%+v comes before %+v", last, *d)
		}
		rows, last = rows+1, *d
	}
	if rows != 3000 {
		t.Errorf("%d rows, want 3000", rows)
	}
}
