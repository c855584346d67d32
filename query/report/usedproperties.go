package report

import (
	"slices"

	"weir/query/cost"
	"weir/schemas/property"
)

// usedProperty is a property that a question reads.
type usedProperty struct {
	name    string
	source  property.Source
	typ     property.Type
	slot    int // of reported properties, user attributes and usages, in the order in which the question reads them
	country int // slot of geography.country; of Continent alone

	canonical int // 0 if values stay as they are; else the index in clientStats.canonical
}

// canonicalTypes are the types whose values have one text each, whatever was sent.
var canonicalTypes = []property.Type{property.Number, property.Boolean, property.Flag}

// coded reports whether the values of the property have codes.
func (p *usedProperty) coded() bool { return p.source <= property.UserAttribute }

// usedProperties are the properties that a question reads, each once.
type usedProperties struct {
	all            []usedProperty
	reported       []string // names by slot
	daily          []bool   // by slot of reported
	userAttributes []string // names by slot
	attributeSlots map[string]int
	usages         []usageFilter
	conditions     int // the number compiled so far
	levels         int // the number compiled so far
	cost           *cost.Question
	grouped        bool // clients are counted by a property, so that clientId cannot be read
}

// use returns the index in all of a property, and adds the property if it is
// new.
func (p *usedProperties) use(field, name string) (int, error) {
	if i := slices.IndexFunc(p.all, func(have usedProperty) bool { return have.name == name && have.source != property.EventUsage }); i >= 0 {
		return i, nil
	}
	next, daily, known := propertyOf(name)
	if !known {
		return 0, fieldErrorf(field, "there is no property %q", name)
	}
	if next.source == property.ClientID && p.grouped {
		return 0, fieldErrorf(field, "clientId cannot be read where clients are counted by another property")
	}
	switch next.source {
	case property.Reported:
		next.slot = p.reportedSlot(name, daily)
	case property.Continent:
		next.slot, next.country = p.reportedSlot(name, true), p.reportedSlot(property.NameCountry, true)
	case property.UserAttribute:
		next.slot = len(p.userAttributes)
		p.userAttributes = append(p.userAttributes, name)
		if p.attributeSlots == nil {
			p.attributeSlots = map[string]int{}
		}
		p.attributeSlots[name] = next.slot
	default: // computed from the rows of each client
	}
	p.all = append(p.all, next)
	return len(p.all) - 1, nil
}

// propertyOf finds a property that can be read by its name alone, and reports
// whether it has a value of each day. lifetimeEventUsage is not one: it is read
// by a filter of its own.
func propertyOf(name string) (p usedProperty, daily, known bool) {
	if property.IsUserAttribute(name) {
		return usedProperty{name: name, source: property.UserAttribute, typ: property.Text}, false, true
	}
	row := property.Find(name)
	if row == nil || row.Category == "" || row.Source == property.EventUsage {
		return usedProperty{}, false, false
	}
	p = usedProperty{name: name, source: row.Source, typ: row.Type}
	p.canonical = 1 + slices.Index(canonicalTypes, row.Type)
	return p, row.Daily, true
}

// reportedSlot returns the slot of a property that events report, and adds one
// if it is new.
func (p *usedProperties) reportedSlot(name string, daily bool) int {
	if i := slices.Index(p.reported, name); i >= 0 {
		return i
	}
	p.reported, p.daily = append(p.reported, name), append(p.daily, daily)
	return len(p.reported) - 1
}

// useUsage adds the events of a lifetimeEventUsage filter and returns the index
// in all.
func (p *usedProperties) useUsage(u usageFilter) int {
	p.all = append(p.all, usedProperty{name: property.NameEventUsage, source: property.EventUsage, typ: property.Number, slot: len(p.usages)})
	p.usages = append(p.usages, u)
	return len(p.all) - 1
}

// reads reports whether a property of a source is read.
func (p *usedProperties) reads(from property.Source) bool {
	return slices.ContainsFunc(p.all, func(used usedProperty) bool { return used.source == from })
}

// computed reports whether a property is read that is computed from the clients
// rollup.
func (p *usedProperties) computed() bool {
	return slices.ContainsFunc(p.all, func(used usedProperty) bool { return !used.coded() && used.source != property.EventUsage })
}
