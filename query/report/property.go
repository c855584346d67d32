package report

import (
	"fmt"
	"slices"
	"strings"
)

// source is where the value of a property comes from.
type source uint8

const (
	said      source = iota // events say it
	told                    // the product's owner says it of a user: user.NAME and contact.NAME
	continent               // of the country, or else what events say
	clientID                // the client's id, in decimal
	installed               // the day of the earliest event
	lastSeen                // the day of the latest event
	sessions                // of all of the life
	runtime                 // of all of the life, in whole minutes
	usage                   // occurrences of events in all of the life
)

// property is one that a question reads.
type property struct {
	name     string
	source   source
	standard bool // kept for each day; others have only a current value
	slot     int  // of said and told ones and of usage, in the order in which the question reads them
	country  int  // slot of geography.country; of continent alone
}

// coded says that values of the property have codes.
func (p *property) coded() bool { return p.source == said || p.source == told || p.source == continent }

// Names of properties that are treated specially.
const (
	nameClientID  = "clientId"
	nameContinent = "geography.continent"
	nameCountry   = "geography.country"
)

// What the names begin with of what product owners say of users: see Told.
const (
	PrefixUser    = "user."
	PrefixContact = "contact."
)

// Properties of the published table, without the special ones.
var (
	standardNames = []string{
		"prodVersion", "prodEdition", "prodBuild", "prodLanguage", "licenseType", "osLanguage",
		"licenseStatus.activated", "licenseStatus.blocked", "licenseStatus.expired", "licenseStatus.allowed",
		"os.platform", "os.version", "os.edition", "geography.continent", "geography.country", "geography.usState",
	}
	currentNames = []string{
		"machineId", "licenseKey", "osWordLength", "gpu.vendor", "gpu.model", "formFactor", "cpuType", "vm", "dotNetVersion",
		"javaVersion", "javaVendor", "javaRuntime", "javaGraphics", "javaVmVersion", "javaVmName",
		"cpuCores", "displayCount", "ram", "resolutionWidth", "resolutionHeight", "screenPpi", "javaVmRam", "touchScreen",
		"optOut.historical", "optOut.current", "backOff.historical", "backOff.current",
	}
)

// numberNames are the properties that are numbers.
var numberNames = []string{
	"cpuCores", "displayCount", "ram", "resolutionWidth", "resolutionHeight", "screenPpi", "javaVmRam",
	"lifetimeRuntimeMinutes", "lifetimeSessionCount",
}

// isFlag says that a property is one that is false until it is said.
func isFlag(name string) bool {
	of, flag, _ := strings.Cut(name, ".")
	members, flags := levelsOf(of)
	return flags && slices.Contains(members, flag)
}

// sourceOf finds a property by its name.
func sourceOf(name string) (from source, standard, known bool) {
	switch name {
	case nameClientID:
		return clientID, false, true
	case "dateInstalled":
		return installed, false, true
	case "dateLastSeen":
		return lastSeen, false, true
	case "lifetimeSessionCount":
		return sessions, false, true
	case "lifetimeRuntimeMinutes":
		return runtime, false, true
	}
	if isTold(name) {
		return told, false, true
	}
	if name == nameContinent {
		return continent, true, true
	}
	if slices.Contains(standardNames, name) || custom(name) {
		return said, true, true
	}
	return said, false, slices.Contains(currentNames, name)
}

// custom says that name is one of C01 to C20.
func custom(name string) bool {
	digits, ok := strings.CutPrefix(name, "C")
	if !ok || len(digits) != 2 {
		return false
	}
	for n := 1; n <= 20; n++ {
		if digits == fmt.Sprintf("%02d", n) {
			return true
		}
	}
	return false
}

// levelsOf are the members of a property that is made of several: of nested
// ones the levels, of flags the flags.
func levelsOf(name string) (members []string, flags bool) {
	switch name {
	case "os":
		return []string{"platform", "version", "edition"}, false
	case "geography":
		return []string{"continent", "country", "usState"}, false
	case "gpu":
		return []string{"vendor", "model"}, false
	case "licenseStatus":
		return []string{"activated", "blocked", "expired", "allowed"}, true
	case "optOut", "backOff":
		return []string{"historical", "current"}, true
	}
	return nil, false
}

// isTold says that name is one of a user's property or contact.
func isTold(name string) bool {
	user, isUser := strings.CutPrefix(name, PrefixUser)
	contact, isContact := strings.CutPrefix(name, PrefixContact)
	return isUser && user != "" || isContact && contact != ""
}

// properties are those that a question reads, each once.
type properties struct {
	all        []property
	said       []string // names by slot
	standard   []bool   // by slot of said
	told       []string // names by slot
	usages     []usageOf
	conditions int  // that are compiled
	levels     int  // that are compiled
	grouped    bool // clients are counted by a property: no clientId
}

// use is the index in all of a property.
func (p *properties) use(field, name string) (int, error) {
	if i := slices.IndexFunc(p.all, func(have property) bool { return have.name == name && have.source != usage }); i >= 0 {
		return i, nil
	}
	from, standard, known := sourceOf(name)
	if !known {
		return 0, wrong(field, "there is no property %q", name)
	}
	if from == clientID && p.grouped {
		return 0, wrong(field, "clientId cannot be read where clients are counted by another property")
	}
	next := property{name: name, source: from, standard: standard}
	switch from {
	case said:
		next.slot = p.saidSlot(name, standard)
	case continent:
		next.slot, next.country = p.saidSlot(name, true), p.saidSlot(nameCountry, true)
	case told:
		next.slot = len(p.told)
		p.told = append(p.told, name)
	case clientID, installed, lastSeen, sessions, runtime, usage:
	}
	p.all = append(p.all, next)
	return len(p.all) - 1, nil
}

// saidSlot is the slot of what events say.
func (p *properties) saidSlot(name string, standard bool) int {
	if i := slices.Index(p.said, name); i >= 0 {
		return i
	}
	p.said, p.standard = append(p.said, name), append(p.standard, standard)
	return len(p.said) - 1
}

func (p *properties) useUsage(u usageOf) int {
	p.all = append(p.all, property{name: "lifetimeEventUsage", source: usage, slot: len(p.usages)})
	p.usages = append(p.usages, u)
	return len(p.all) - 1
}

// reads says that a property from a source is read.
func (p *properties) reads(from source) bool {
	return slices.ContainsFunc(p.all, func(one property) bool { return one.source == from })
}

// computed says that a property that is no said or told one is read.
func (p *properties) computed() bool {
	return slices.ContainsFunc(p.all, func(one property) bool { return !one.coded() && one.source != usage })
}
