package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEventFlags(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		none, empty, file := EventName{Name: "Open"}, EventName{HasCategory: true, Name: "Open"}, EventName{true, "File", "Open"}
		set := func(updates ...EventFlagsUpdate) {
			t.Helper()
			if err := r.UpdateEventFlags(ctx, 1001, updates, 100); err != nil {
				t.Fatal(err)
			}
		}
		want := func(want map[EventName]EventFlags) {
			t.Helper()
			if diff := cmp.Diff(want, must[map[EventName]EventFlags](t)(r.EventFlags(ctx, 1001)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("flags: -want +got\n%s", diff)
			}
		}
		want(nil)
		set(EventFlagsUpdate{file, nil, new(false)}, EventFlagsUpdate{empty, new(false), nil}, EventFlagsUpdate{none, new(true), nil})
		want(map[EventName]EventFlags{file: {true, false}, empty: {false, true}})
		set(EventFlagsUpdate{file, new(false), nil}, EventFlagsUpdate{empty, new(true), nil}, EventFlagsUpdate{none, new(false), new(false)})
		want(map[EventName]EventFlags{file: {false, false}, none: {false, false}})
		if got := must[map[EventName]EventFlags](t)(r.EventFlags(ctx, 2001)); len(got) != 0 {
			t.Errorf("another product has %v", got)
		}
		if err := r.UpdateEventFlags(ctx, 1001, []EventFlagsUpdate{{empty, new(false), nil}, {EventName{Name: "x"}, new(false), nil}}, 100); err != nil {
			t.Error(err)
		}
		if err := r.UpdateEventFlags(ctx, 4711, []EventFlagsUpdate{{none, nil, nil}}, 100); err == nil {
			t.Error("an unknown product accepted flags")
		}
	})
}
