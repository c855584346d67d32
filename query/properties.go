package query

import (
	"context"
	"net/http"
	"slices"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/property"
	"weir/schemas/registry"
)

// properties answers for the client properties of a product and their values.
type properties struct {
	responder
	registry *registry.Registry
	sessions *sessions
}

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

// entryOf returns a property of the catalogue as the list has it.
func entryOf(p *property.Property) propertyEntry {
	return propertyEntry{
		Name: p.Name, FriendlyName: p.Label, FilterType: p.FilterType(), DataType: p.Type.Published(),
		SupportsRegex: p.Regex(), SupportsMeta: p.Values, SupportsNull: p.Nullable(),
	}
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
		entry := entryOf(&p)
		if label, ok := labels[p.Name]; ok && p.Custom {
			entry.FriendlyName = label
		}
		last := &all[len(all)-1]
		last.Properties = append(last.Properties, entry)
	}
	return all
}

// list answers with the properties of a product, by category.
func (p properties) list(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	labels, err := p.registry.PropertyLabels(r.Context(), q.product.ID)
	if err != nil {
		return err
	}
	filter := columns.Filter{Products: []int64{q.product.ID}}
	return p.answerFromView(w, r, q.product.Account, func(ctx context.Context) (*view.View, error) {
		return p.views.Plan(ctx, view.Request{Columns: []string{columns.Client}, Filter: filter, Watermark: q.watermark, Changes: true})
	}, func(ctx context.Context, v *view.View) (any, error) {
		names, err := userAttributeNames(ctx, v, filter)
		if err != nil {
			return nil, err
		}
		return enveloped(append(allProperties(labels), userAttributeCategories(names)...)), nil
	})
}

// listAny answers with the properties of the only product that the session may
// see. Of several products it lists the properties that all have: without custom
// ones and user attributes.
func (p properties) listAny(w http.ResponseWriter, r *http.Request) error {
	principal, err := p.sessions.authenticate(r)
	if err != nil {
		return err
	}
	if len(principal.Products) == 1 {
		return p.list(w, r, productQuestion{product: registry.Product{ID: principal.Products[0], Account: principal.Account}})
	}
	all := allProperties(nil)
	return p.writeAnswer(r.Context(), w, enveloped(slices.DeleteFunc(all, func(c propertyCategory) bool { return c.Category == property.CustomCategory })))
}
