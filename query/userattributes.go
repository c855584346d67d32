package query

import (
	"context"
	"iter"
	"strings"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/changes"
	"weir/schemas/columns"
	"weir/schemas/property"
)

// attributePrefix is what reports put before the names that one kind of change
// sets.
func attributePrefix(kind schemas.ChangeKind) string {
	if kind == schemas.ContactChange {
		return property.ContactPrefix
	}
	return property.UserPrefix
}

// userAttributes yields the properties and contacts of a product's users that
// scan wants, as of the watermark, in no order: each has one row. The view must
// have changes.
func userAttributes(ctx context.Context, v *view.View, product int64, scan report.UserAttributeScan) iter.Seq2[*report.UserAttribute, error] {
	return func(yield func(*report.UserAttribute, error) bool) {
		set, err := changedClients(ctx, v, product, scan)
		if err != nil {
			yield(nil, err)
			return
		}
		for id, c := range set.Clients() {
			for kind, values := range map[schemas.ChangeKind]map[string]changes.Value{schemas.PropertyChange: c.Properties, schemas.ContactChange: c.Contacts} {
				for name, value := range values {
					t := report.UserAttribute{Client: id, Name: attributePrefix(kind) + name, Value: string(value.JSON), Time: value.Time, Offset: value.Offset}
					if !yield(&t, nil) {
						return
					}
				}
			}
		}
	}
}

// changedClients applies the changes of a product's clients that scan wants, as
// of the watermark. The view must have changes, and a filter that lets the
// product through. Memory is that of the values, and of increases, additions and
// removals since a property was last set; it fails with report.ErrFull beyond
// scan.Bytes.
func changedClients(ctx context.Context, v *view.View, product int64, scan report.UserAttributeScan) (*changes.Set, error) {
	wanted := map[schemas.ChangeKind]map[string]bool{schemas.PropertyChange: {}, schemas.ContactChange: {}}
	for kind, names := range wanted {
		for _, name := range scan.Names {
			if own, is := strings.CutPrefix(name, attributePrefix(kind)); is {
				names[own] = true
			}
		}
	}
	set := &changes.Set{Keep: func(kind schemas.ChangeKind, name string) bool { return wanted[kind][name] }}
	for c, err := range v.Changes(ctx, columns.Filter{Products: []int64{product}}) {
		if err != nil {
			return nil, err
		}
		if !scan.Clients(c.Client) {
			continue
		}
		set.Add(&c.Change, c.Offset)
		if set.Bytes() > scan.Bytes && set.Len() > 1 {
			return nil, report.ErrFull
		}
	}
	return set, nil
}

// userAttributeNames returns the names that were ever set for users of f's
// product, by attributePrefix; of each the first valuesPage. The view must have
// changes.
func userAttributeNames(ctx context.Context, v *view.View, f columns.Filter) (map[string]*valueSet, error) {
	names := map[string]*valueSet{}
	for _, prefix := range []string{property.UserPrefix, property.ContactPrefix} {
		names[prefix] = &valueSet{wants: func(string) bool { return true }, limit: valuesPage, values: map[string]struct{}{}}
	}
	for c, err := range v.Changes(ctx, f) {
		if err != nil {
			return nil, err
		}
		if c.Operation == schemas.OpDelete {
			continue // it sets no name
		}
		for name := range changes.ParseValues(&c.Change) {
			names[attributePrefix(c.Kind)].add(name)
		}
	}
	return names, nil
}

// userAttributeCategories lists names as properties, in groups; a group without
// names is left out. Only the names of contacts are listed, never a value, as
// those are personal.
func userAttributeCategories(names map[string]*valueSet) []propertyCategory {
	var all []propertyCategory
	for _, kind := range []struct{ category, prefix string }{{"User Properties", property.UserPrefix}, {"User Contacts", property.ContactPrefix}} {
		category := propertyCategory{Category: kind.category}
		for _, name := range names[kind.prefix].first() {
			category.Properties = append(category.Properties, entryOf(&property.Property{
				Name: kind.prefix + name, Label: name, Type: property.Text, Source: property.UserAttribute,
			}))
		}
		if len(category.Properties) > 0 {
			all = append(all, category)
		}
	}
	return all
}
