package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/property"
)

func TestPropertyLabels(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		label := func(name, text string) error { return r.LabelProperty(ctx, 1001, name, text) }
		for _, err := range []error{label("C01", "Colour"), label("C20", "Size"), label("C20", "Width"), label("C02", "Gone"), label("C02", " ")} {
			if err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(map[string]string{"C01": "Colour", "C20": "Width"}, must[map[string]string](t)(r.PropertyLabels(ctx, 1001))); diff != "" {
			t.Errorf("labels: -want +got\n%s", diff)
		}
		if got := must[map[string]string](t)(r.PropertyLabels(ctx, 2001)); len(got) != 0 {
			t.Errorf("another product has %v", got)
		}
		wantErr(t, "C21", label("C21", "x"), ErrInvalid)
		wantErr(t, "C1", label("C1", "x"), ErrInvalid)
		wantErr(t, "a label of NUL", label("C01", "\x00"), ErrInvalid)
		wantErr(t, "no product", r.LabelProperty(ctx, 4711, "C01", "x"), ErrNotFound)
	})
}

func TestPropertyTypes(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		set := func(name string, kind int) error { return r.SetPropertyType(ctx, 1001, name, kind) }
		for _, err := range []error{set("C01", 3), set("C20", 2), set("C20", 3), set("C02", 3), set("C02", 1)} {
			if err != nil {
				t.Error(err)
			}
		}
		want := map[string]int{}
		for _, name := range property.CustomNames() {
			want[name] = 1
		}
		if diff := cmp.Diff(want, must[map[string]int](t)(r.PropertyTypes(ctx, 2001))); diff != "" {
			t.Errorf("types of a product without stored types: -want +got\n%s", diff)
		}
		want["C01"], want["C20"] = 3, 3
		if diff := cmp.Diff(want, must[map[string]int](t)(r.PropertyTypes(ctx, 1001))); diff != "" {
			t.Errorf("types: -want +got\n%s", diff)
		}
		wantErr(t, "C21", set("C21", 3), ErrInvalid)
		wantErr(t, "type 0", set("C01", 0), ErrInvalid)
		wantErr(t, "type 4", set("C01", 4), ErrInvalid)
		wantErr(t, "no product", r.SetPropertyType(ctx, 4711, "C01", 3), ErrNotFound)
	})
}
