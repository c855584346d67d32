package property

import (
	"fmt"
	"strings"
)

// maxCustom is the number of custom properties of a product, as published.
const maxCustom = 20

// category is a group of the list of properties.
type category struct {
	name string
	rows []Property
}

// published is the catalogue in the published order of the list of
// properties. Answers depend on the order of the categories, of the rows in
// them and of the levels of one property.
var published = []category{
	{"Product Properties", []Property{
		{Name: "prodVersion", Label: "Product Version", Header: "Version", Type: Text, Daily: true, Values: true},
		{Name: "prodEdition", Label: "Product Edition", Header: "Edition", Type: Text, Daily: true, Values: true},
		{Name: "prodBuild", Label: "Product Build", Header: "Build", Type: Text, Daily: true, Values: true},
		{Name: "prodLanguage", Label: "Product Language", Header: "Language", Type: Text, Daily: true, Values: true},
	}},
	{"License Properties", []Property{
		{Name: "licenseType", Label: "License Type", Header: "License Type", Type: Text, Daily: true, Values: true},
		{Name: NameLicenseKey, Label: "License Key", Type: Text},
		{Name: "licenseStatus.activated", Label: "Key Activated", Header: "Key Activated", Type: Flag, Daily: true},
		{Name: "licenseStatus.blocked", Label: "Key Blocked", Header: "Key Blocked", Type: Flag, Daily: true},
		{Name: "licenseStatus.expired", Label: "Key Expired", Header: "Key Expired", Type: Flag, Daily: true},
		{Name: "licenseStatus.allowed", Label: "Key Allowed", Header: "Key Allowed", Type: Flag, Daily: true},
	}},
	{"Geography", []Property{
		{Name: NameContinent, Label: "Continent", Type: Text, Source: Continent, Daily: true, Values: true},
		{Name: NameCountry, Label: "Country", Header: "Country", Type: Text, Daily: true, Values: true},
		{Name: NameUSState, Label: "US State", Header: "US State", Type: Text, Daily: true, Values: true},
	}},
	{"Operating System", []Property{
		{Name: "os.platform", Label: "OS Platform", Type: Text, Daily: true, Values: true},
		{Name: "os.version", Label: "OS Version", Header: "OS Type", Type: Text, Daily: true, Values: true},
		{Name: "os.edition", Label: "OS Edition", Type: Text, Daily: true, Values: true},
		{Name: "osLanguage", Label: "OS Language", Header: "OS Language", Type: Text, Daily: true, Values: true},
		{Name: "osWordLength", Label: "OS Architecture", Header: "OS Architecture", Type: Text, Values: true},
	}},
	{"Hardware", []Property{
		{Name: "formFactor", Label: "Computer Type", Header: "Computer Type", Type: Text, Values: true},
		{Name: "vm", Label: "Virtual Machine", Type: Text, Values: true},
		{Name: "cpuType", Label: "CPU Type", Header: "CPU Type", Type: Text, Values: true},
		{Name: "cpuCores", Label: "CPU Cores", Header: "CPU Cores", Type: Number},
		{Name: "ram", Label: "RAM", Header: "RAM", Type: Number},
		{Name: "displayCount", Label: "Number of Monitors", Header: "Number of Monitors", Type: Number},
		{Name: "resolutionWidth", Label: "Screen Resolution Width", Type: Number},
		{Name: "resolutionHeight", Label: "Screen Resolution Height", Type: Number},
		{Name: "screenPpi", Label: "Screen PPI", Type: Number},
		{Name: "touchScreen", Label: "Touch Screen", Type: Boolean},
		{Name: "gpu.vendor", Label: "GPU Vendor", Type: Text, Values: true},
		{Name: "gpu.model", Label: "GPU Model", Header: "GPU", Type: Text, Values: true},
	}},
	{"Software", []Property{
		{Name: "dotNetVersion", Label: ".NET Versions", Header: ".NET Versions", Type: Text, Values: true},
		{Name: "javaVersion", Label: "Java Version", Type: Text, Values: true},
		{Name: "javaVendor", Label: "Java Vendor", Type: Text, Values: true},
		{Name: "javaRuntime", Label: "Java Runtime", Type: Text, Values: true},
		{Name: "javaGraphics", Label: "Java Graphics", Type: Text, Values: true},
		{Name: "javaVmVersion", Label: "Java VM Version", Type: Text, Values: true},
		{Name: "javaVmName", Label: "Java VM Name", Type: Text, Values: true},
		{Name: "javaVmRam", Label: "Java VM RAM", Type: Number},
	}},
	{"Client Properties", []Property{
		{Name: NameClientID, Label: "Client ID", Header: "Client ID", Type: Text, Source: ClientID},
		{Name: NameMachineID, Label: "Machine ID", Type: Text},
		{Name: "dateInstalled", Label: "Date Installed", Type: Date, Source: FirstSeen},
		{Name: "dateLastSeen", Label: "Date Last Seen", Type: Date, Source: LastSeen},
		{Name: "lifetimeRuntimeMinutes", Label: "Lifetime Runtime Minutes", Type: Number, Source: RuntimeMinutes},
		{Name: "lifetimeSessionCount", Label: "Lifetime Session Count", Type: Number, Source: SessionCount},
		{Name: NameEventUsage, Label: "Lifetime Event Usage", Type: Number, Source: EventUsage},
		{Name: "optOut.historical", Label: "Opted Out Ever", Type: Flag},
		{Name: NameOptOut, Label: "Opted Out Now", Type: Flag},
		{Name: "backOff.historical", Label: "Backed Off Ever", Type: Flag},
		{Name: "backOff.current", Label: "Backed Off Now", Type: Flag},
	}},
	{CustomCategory, custom()},
	{"", []Property{ // read by the export files alone
		{Name: "resolution", Header: "Screen Resolution", Type: Text},
	}},
}

// CustomCategory is the group of the custom properties in the list of
// properties.
const CustomCategory = "Custom Properties"

// custom returns the rows of the custom properties. A product's owner may give
// them other labels.
func custom() []Property {
	out := make([]Property, maxCustom)
	for i := range out {
		name := fmt.Sprintf("C%02d", i+1)
		out[i] = Property{Name: name, Label: name, Type: Text, Daily: true, Custom: true, Values: true}
	}
	return out
}

// The catalogue and what is derived from it: all rows, the rows by name, the
// members of nested properties by the name before the dot, and the names of the
// custom properties.
var (
	rows        = flatten(published)
	byName      = index(rows)
	levels      = levelsOf(rows)
	customNames = namesOfCustom(rows)
)

func flatten(categories []category) []Property {
	var out []Property
	for _, c := range categories {
		for _, p := range c.rows {
			p.Category = c.name
			out = append(out, p)
		}
	}
	return out
}

func index(rows []Property) map[string]*Property {
	out := make(map[string]*Property, len(rows))
	for i := range rows {
		out[rows[i].Name] = &rows[i]
	}
	return out
}

func levelsOf(rows []Property) map[string][]string {
	out := map[string][]string{}
	for i := range rows {
		if parent, member, nested := strings.Cut(rows[i].Name, "."); nested {
			out[parent] = append(out[parent], member)
		}
	}
	return out
}

func namesOfCustom(rows []Property) []string {
	var out []string
	for i := range rows {
		if rows[i].Custom {
			out = append(out, rows[i].Name)
		}
	}
	return out
}
