// Package property is the catalogue of client properties: one row for each
// property that the published reporting documents name or that Weir computes.
// The list of properties, the filters and segments of reports, the columns of
// export files and the custom properties of the registry all derive from it, so
// that a new property is one new row in catalogue.go.
//
// The catalogue does not restrict what clients send: any property of $client is
// accepted and stored under its name, with its levels joined by dots. Names are
// part of the published contract and never change.
package property

import (
	"slices"
	"strings"
)

// Property is one row of the catalogue.
type Property struct {
	Name     string // dotted, as requests, answers and rollups have it: "os.version"
	Category string // group in the list of properties; "" keeps the property out of the list and out of reports
	Label    string // friendly name in the list of properties
	Header   string // column of the custom event and exception files; "" is no column
	Type     Type
	Source   Source
	Daily    bool // reports use the last value known on a day; other properties have only their current value
	Custom   bool // C01 to C20, which a product's owner labels and types
	Values   bool // propertyValues lists the reported values
}

// Regex reports whether filters of the property may be regular expressions. As
// published, those of geography may not; any other value has a text to match.
func (p *Property) Regex() bool {
	return !strings.HasPrefix(p.Name, "geography.") && p.Source != EventUsage
}

// Nullable reports whether a client can lack a value: whether lists write
// "<NULL>" then, filters with includeNull match, and segments have a series of
// null. What clients report can be missing; a flag is false then, and what is
// computed of a client is always there.
func (p *Property) Nullable() bool {
	return p.Type != Flag && (p.Source == Reported || p.Source == Continent || p.Source == UserAttribute)
}

// Type is how a value is read and written.
type Type string

// Types, by their published names. A Flag is published as a boolean too, but is
// false where no client reported it; a Boolean is null then.
const (
	Text    Type = "string"
	Number  Type = "number"
	Boolean Type = "boolean"
	Date    Type = "date"
	Flag    Type = "flag"
)

// Published returns the type as the list of properties spells it.
func (t Type) Published() string {
	if t == Flag {
		return string(Boolean)
	}
	return string(t)
}

// Source is where the value of a property comes from.
type Source uint8

// Sources. All but the first three are computed from a client's rollups.
const (
	Reported       Source = iota // $client of events; stored in the properties of the rollups clients and client_days
	Continent                    // of the reported country; the reported continent where the country has none
	UserAttribute                // user.NAME or contact.NAME, set by the product's owner; stored in client_changes
	ClientID                     // the client's id in decimal
	FirstSeen                    // the day of the client's earliest event
	LastSeen                     // the day of the client's latest event
	SessionCount                 // all sessions of the client
	RuntimeMinutes               // the runtime of all sessions, in whole minutes
	EventUsage                   // how often the client sent given events; read by a filter of its own
)

// FilterType returns the published word for how the property is kept and
// filtered: "standard" has a value of each day, "currentData" the current value
// alone, and "special" is filtered by an object of its own (os, geography, gpu,
// licenseStatus, optOut, backOff and lifetimeEventUsage). The published list
// calls the two dates standard although a client has one value of each.
func (p *Property) FilterType() string {
	switch {
	case p.Source == UserAttribute:
		return filterCurrent
	case strings.Contains(p.Name, "."), p.Source == EventUsage:
		return "special"
	case p.Daily, p.Type == Date:
		return "standard"
	}
	return filterCurrent
}

// filterCurrent is the filter type of properties that have their current value
// alone.
const filterCurrent = "currentData"

// Names of the properties that code treats specially.
const (
	NameClientID   = "clientId"
	NameMachineID  = "machineId"
	NameLicenseKey = "licenseKey"
	NameContinent  = "geography.continent"
	NameCountry    = "geography.country"
	NameUSState    = "geography.usState"
	NameEventUsage = "lifetimeEventUsage"
	NameOptOut     = "optOut.current"
)

// Prefixes of the names of user attributes, which product owners choose.
const (
	UserPrefix    = "user."
	ContactPrefix = "contact."
)

// IsUserAttribute reports whether name is user.NAME or contact.NAME.
func IsUserAttribute(name string) bool {
	user, isUser := strings.CutPrefix(name, UserPrefix)
	contact, isContact := strings.CutPrefix(name, ContactPrefix)
	return isUser && user != "" || isContact && contact != ""
}

// All returns every row, in the order of the list of properties. The caller may
// keep the slice and may not change it.
func All() []Property { return rows }

// Find returns the row of a property; nil if there is none, as of user
// attributes.
func Find(name string) *Property { return byName[name] }

// CustomNames returns the names of the custom properties, which are the same in
// every product: C01 to C20.
func CustomNames() []string { return slices.Clone(customNames) }

// IsCustom reports whether name is one of C01 to C20.
func IsCustom(name string) bool {
	p := Find(name)
	return p != nil && p.Custom
}

// Levels returns the members of a property that consists of several: country of
// geography, for example; nil if name is no such property. flags reports that
// they are flags, of which a filter names some, and not nested levels.
func Levels(name string) (members []string, flags bool) {
	members = levels[name]
	return members, len(members) > 0 && Find(name+"."+members[0]).Type == Flag
}

// Types that a product's owner gives custom properties. Reports can count
// clients by the values of properties of TypeGrouping alone; nothing depends on
// the other two types.
const (
	TypeDefault  = 1 // of properties without a type
	TypeGrouping = 3 // the value names what counts as one client: a household, a site
)
