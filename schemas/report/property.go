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
	slot     int  // of said ones and of usage, in the order in which the question reads them
}

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

// sourceOf finds a property by its name.
func sourceOf(name string) (from source, standard, known bool) {
	switch name {
	case "clientId":
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

// properties are those that a question reads, each once.
type properties struct {
	all    []property
	said   []string // names by slot
	usages []Usage  // by slot
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
	next := property{name: name, source: from, standard: standard, slot: len(p.said)}
	if from == said {
		p.said = append(p.said, name)
	}
	p.all = append(p.all, next)
	return len(p.all) - 1, nil
}

func (p *properties) useUsage(u Usage) int {
	p.all = append(p.all, property{name: "lifetimeEventUsage", source: usage, slot: len(p.usages)})
	p.usages = append(p.usages, u)
	return len(p.all) - 1
}
