package query

import (
	"context"
	"net/http"
	"slices"

	"weir/schemas/columns"
	"weir/schemas/property"
	"weir/schemas/registry"
)

// propertyEntry is one client property in the list of properties.
type propertyEntry struct {
	Name          string `json:"name"`
	FriendlyName  string `json:"friendlyName"`
	FilterType    string `json:"filterType"`
	DataType      string `json:"dataType"`
	SupportsRegex bool   `json:"supportsRegex"`
	SupportsMeta  bool   `json:"supportsMeta"` // propertyValues lists its values
	SupportsNull  bool   `json:"supportsNull"`
}

// propertyCategory is a group of the list of properties.
type propertyCategory struct {
	Category   string          `json:"category"`
	Properties []propertyEntry `json:"properties"`
}

// allProperties returns the listed properties of the catalogue, in groups.
// labels replace the friendly names of the custom properties that have one.
func allProperties(labels map[string]string) []propertyCategory {
	var all []propertyCategory
	for _, p := range property.All() {
		if p.Category == "" {
			continue
		}
		if n := len(all); n == 0 || all[n-1].Category != p.Category {
			all = append(all, propertyCategory{Category: p.Category})
		}
		entry := propertyEntry{
			Name: p.Name, FriendlyName: p.Label, FilterType: p.FilterType(), DataType: p.Type.Published(),
			SupportsRegex: p.Regex, SupportsMeta: p.Values, SupportsNull: p.Nullable,
		}
		if label, ok := labels[p.Name]; ok && p.Custom {
			entry.FriendlyName = label
		}
		last := &all[len(all)-1]
		last.Properties = append(last.Properties, entry)
	}
	return all
}

// productProperties lists the properties of a product, by category.
func (s *Service) productProperties(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	labels, err := s.deps.Registry.PropertyLabels(r.Context(), q.product.ID)
	if err != nil {
		return err
	}
	filter := columns.Filter{Products: []int64{q.product.ID}}
	return s.answer(w, r, func(ctx context.Context) (*view, error) {
		return s.plan(ctx, question{columns: []string{columns.Client}, filter: filter, watermark: q.want, changes: true})
	}, func(ctx context.Context, v *view) (any, error) {
		names, err := v.userAttributeNames(ctx, filter)
		if err != nil {
			return nil, err
		}
		return enveloped(append(allProperties(labels), userAttributeCategories(names)...)), nil
	})
}

// anyProperties lists the properties of the only product that the session
// sees; of several those that all have, that is all but the custom ones and what
// was set for users.
func (s *Service) anyProperties(w http.ResponseWriter, r *http.Request) error {
	who, err := s.session(r)
	if err != nil {
		return err
	}
	if len(who.Products) == 1 {
		return s.productProperties(w, r, productQuestion{product: registry.Product{ID: who.Products[0]}})
	}
	all := allProperties(nil)
	return s.writeAnswer(w, enveloped(slices.DeleteFunc(all, func(c propertyCategory) bool { return c.Category == property.CustomCategory })))
}
