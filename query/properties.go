package query

import (
	"context"
	"net/http"
	"slices"

	"weir/schemas/columns"
	"weir/schemas/registry"
)

// property is one client property, as the reporting API tells of it.
type property struct {
	Name          string `json:"name"`
	FriendlyName  string `json:"friendlyName"`
	FilterType    string `json:"filterType"` // how it is kept and filtered: see below
	DataType      string `json:"dataType"`
	SupportsRegex bool   `json:"supportsRegex"`
	SupportsMeta  bool   `json:"supportsMeta"` // propertyValues lists its values
	SupportsNull  bool   `json:"supportsNull"`
}

// Filter types.
const (
	filterStandard = "standard"    // the last value of each day is kept
	filterCurrent  = "currentData" // the latest value alone
	filterSpecial  = "special"     // with an object of its own: os, geography, gpu, licenseStatus, optOut, backOff, lifetimeEventUsage
)

// propertyCategory is a group that properties are shown in.
type propertyCategory struct {
	Category   string     `json:"category"`
	Properties []property `json:"properties"`
}

// allProperties is every property there is, with the labels that a product's
// vendor gave to the custom ones.
func allProperties(labels map[string]string) []propertyCategory {
	all := []propertyCategory{
		{"Product Properties", []property{
			standard("prodVersion", "Product Version"), standard("prodEdition", "Product Edition"),
			standard("prodBuild", "Product Build"), standard("prodLanguage", "Product Language"),
		}},
		{"License Properties", []property{
			{"licenseType", "License Type", filterStandard, "string", true, true, false},
			{"licenseKey", "License Key", filterCurrent, "string", true, false, true},
			{"licenseStatus.activated", "Key Activated", filterSpecial, "boolean", false, false, false},
			{"licenseStatus.blocked", "Key Blocked", filterSpecial, "boolean", false, false, false},
			{"licenseStatus.expired", "Key Expired", filterSpecial, "boolean", false, false, false},
			{"licenseStatus.allowed", "Key Allowed", filterSpecial, "boolean", false, false, false},
		}},
		{"Geography", []property{
			{"geography.continent", "Continent", filterSpecial, "string", false, true, true},
			{"geography.country", "Country", filterSpecial, "string", false, true, true},
			{"geography.usState", "US State", filterSpecial, "string", false, true, true},
		}},
		{"Operating System", []property{
			{"os.platform", "OS Platform", filterSpecial, "string", true, true, true},
			{"os.version", "OS Version", filterSpecial, "string", true, true, true},
			{"os.edition", "OS Edition", filterSpecial, "string", true, true, true},
			standard("osLanguage", "OS Language"),
			{"osWordLength", "OS Architecture", filterCurrent, "string", true, true, false},
		}},
		{"Hardware", []property{
			current("formFactor", "Computer Type"), current("vm", "Virtual Machine"), current("cpuType", "CPU Type"),
			number("cpuCores", "CPU Cores", true), number("ram", "RAM", true), number("displayCount", "Number of Monitors", false),
			number("resolutionWidth", "Screen Resolution Width", true), number("resolutionHeight", "Screen Resolution Height", true),
			number("screenPpi", "Screen PPI", false),
			{"touchScreen", "Touch Screen", filterCurrent, "boolean", false, false, true},
			{"gpu.vendor", "GPU Vendor", filterSpecial, "string", true, true, true},
			{"gpu.model", "GPU Model", filterSpecial, "string", true, true, true},
		}},
		{"Software", []property{
			{"dotNetVersion", ".NET Versions", filterCurrent, "string", true, true, false},
			current("javaVersion", "Java Version"), current("javaVendor", "Java Vendor"), current("javaRuntime", "Java Runtime"),
			current("javaGraphics", "Java Graphics"), current("javaVmVersion", "Java VM Version"), current("javaVmName", "Java VM Name"),
			number("javaVmRam", "Java VM RAM", false),
		}},
		{"Client Properties", clientProperties()},
	}
	return append(all, propertyCategory{"Custom Properties", customProperties(labels)})
}

// clientProperties tell of the client itself.
func clientProperties() []property {
	return []property{
		{"clientId", "Client ID", filterCurrent, "string", true, false, false},
		{"machineId", "Machine ID", filterCurrent, "string", true, false, true},
		{"dateInstalled", "Date Installed", filterStandard, "date", false, false, false},
		{"dateLastSeen", "Date Last Seen", filterStandard, "date", false, false, false},
		number("lifetimeRuntimeMinutes", "Lifetime Runtime Minutes", false),
		number("lifetimeSessionCount", "Lifetime Session Count", false),
		{"lifetimeEventUsage", "Lifetime Event Usage", filterSpecial, "number", false, false, false},
		{"optOut.historical", "Opted Out Ever", filterSpecial, "boolean", false, false, false},
		{"optOut.current", "Opted Out Now", filterSpecial, "boolean", false, false, false},
		{"backOff.historical", "Backed Off Ever", filterSpecial, "boolean", false, false, false},
		{"backOff.current", "Backed Off Now", filterSpecial, "boolean", false, false, false},
	}
}

func customProperties(labels map[string]string) []property {
	var all []property
	for _, name := range registry.CustomProperties() {
		p := standard(name, name)
		if label, ok := labels[name]; ok {
			p.FriendlyName = label
		}
		all = append(all, p)
	}
	return all
}

// standard is a text of which the last value of each day is kept.
func standard(name, friendly string) property {
	return property{name, friendly, filterStandard, "string", true, true, true}
}

// current is a text of which the latest value alone is kept.
func current(name, friendly string) property {
	return property{name, friendly, filterCurrent, "string", true, true, true}
}

func number(name, friendly string, null bool) property {
	return property{name, friendly, filterCurrent, "number", false, false, null}
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
		names, err := v.toldNames(ctx, filter)
		if err != nil {
			return nil, err
		}
		return enveloped(append(allProperties(labels), toldProperties(names)...)), nil
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
	return s.writeAnswer(w, enveloped(slices.DeleteFunc(all, func(c propertyCategory) bool { return c.Category == "Custom Properties" })))
}
