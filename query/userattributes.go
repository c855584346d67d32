package query

import (
	"context"

	"weir/schemas"
	"weir/schemas/changes"
	"weir/schemas/columns"
	"weir/schemas/property"
)

// userAttributeNames are the names that were ever set for users of f's product, by what
// reports put before them; of each the first valuesPage. The question must have
// asked for changes.
func (v *view) userAttributeNames(ctx context.Context, f columns.Filter) (map[string]*values, error) {
	names := map[string]*values{}
	for _, prefix := range []string{property.UserPrefix, property.ContactPrefix} {
		names[prefix] = &values{wants: func(string) bool { return true }, limit: valuesPage, of: map[string]struct{}{}}
	}
	for c, err := range v.changes(ctx, f) {
		if err != nil {
			return nil, err
		}
		if c.Operation == schemas.OpDelete {
			continue // sets nothing
		}
		for name := range changes.ParseValues(&c.Change) {
			names[attributePrefix(c.Kind)].add(name)
		}
	}
	return names, nil
}

// userAttributeCategories are names as properties, in groups; one without names is left
// out. Of contacts that is the name alone, nothing that is personal.
func userAttributeCategories(names map[string]*values) []propertyCategory {
	var all []propertyCategory
	for _, kind := range []struct{ category, prefix string }{{"User Properties", property.UserPrefix}, {"User Contacts", property.ContactPrefix}} {
		category := propertyCategory{Category: kind.category}
		for _, name := range names[kind.prefix].first() {
			category.Properties = append(category.Properties, propertyEntry{
				kind.prefix + name, name, property.FilterCurrent, property.Text.Published(), true, false, true,
			})
		}
		if len(category.Properties) > 0 {
			all = append(all, category)
		}
	}
	return all
}
