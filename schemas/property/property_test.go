package property

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range All() {
		if seen[p.Name] {
			t.Errorf("%s has two rows", p.Name)
		}
		seen[p.Name] = true
		if IsUserAttribute(p.Name) {
			t.Errorf("%s: the prefix is reserved for user attributes", p.Name)
		}
	}
}

// TestRowsAreComplete: a row of the list of properties has a label and a type,
// and a row outside the list is a column of the export files.
func TestRowsAreComplete(t *testing.T) {
	for _, p := range All() {
		if p.Type == "" {
			t.Errorf("%s has no type", p.Name)
		}
		if p.Category != "" && p.Label == "" {
			t.Errorf("%s is listed without a label", p.Name)
		}
		if p.Category == "" && p.Header == "" {
			t.Errorf("%s is neither listed nor a column", p.Name)
		}
	}
}

// TestCategoriesAreContiguous: the list of properties groups neighbours.
func TestCategoriesAreContiguous(t *testing.T) {
	var seen []string
	for _, p := range All() {
		if n := len(seen); n > 0 && seen[n-1] == p.Category {
			continue
		}
		if slices.Contains(seen, p.Category) {
			t.Errorf("%s: category %q is interrupted", p.Name, p.Category)
		}
		seen = append(seen, p.Category)
	}
}

func TestFind(t *testing.T) {
	if p := Find("os.version"); p == nil || p.Label != "OS Version" || p.FilterType() != "special" || p.Category != "Operating System" {
		t.Errorf("os.version = %+v", p)
	}
	for _, name := range []string{"", "os", "user.plan", "C21", "c01", "C1"} {
		if p := Find(name); p != nil {
			t.Errorf("%q has the row %+v, want none", name, *p)
		}
	}
}

// TestFilterTypes holds each published filter type to the properties that have
// it, by their names.
func TestFilterTypes(t *testing.T) {
	got := map[string][]string{}
	for _, p := range All() {
		if p.Category != "" && !p.Custom && !strings.Contains(p.Name, ".") {
			got[p.FilterType()] = append(got[p.FilterType()], p.Name)
		}
	}
	for filterType, want := range map[string]string{
		"standard": "prodVersion prodEdition prodBuild prodLanguage licenseType osLanguage dateInstalled dateLastSeen",
		"special":  "lifetimeEventUsage",
		"currentData": "licenseKey osWordLength formFactor vm cpuType cpuCores ram displayCount resolutionWidth resolutionHeight " +
			"screenPpi touchScreen dotNetVersion javaVersion javaVendor javaRuntime javaGraphics javaVmVersion javaVmName javaVmRam " +
			"clientId machineId lifetimeRuntimeMinutes lifetimeSessionCount",
	} {
		if names := strings.Join(got[filterType], " "); names != want {
			t.Errorf("%s: %s, want %s", filterType, names, want)
		}
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]struct {
		members string
		flags   bool
	}{
		"os":            {"platform version edition", false},
		"geography":     {"continent country usState", false},
		"gpu":           {"vendor model", false},
		"licenseStatus": {"activated blocked expired allowed", true},
		"optOut":        {"historical current", true},
		"backOff":       {"historical current", true},
		"osLanguage":    {"", false},
		"os.version":    {"", false},
	} {
		members, flags := Levels(name)
		if got := strings.Join(members, " "); got != want.members || flags != want.flags {
			t.Errorf("%s: %s, flags %v, want %s, %v", name, got, flags, want.members, want.flags)
		}
	}
}

func TestCustomProperties(t *testing.T) {
	names := CustomNames()
	if len(names) != 20 || names[0] != "C01" || names[19] != "C20" {
		t.Errorf("custom properties: %v, want C01 to C20", names)
	}
	for _, name := range names {
		if !IsCustom(name) {
			t.Errorf("%s is not custom", name)
		}
	}
	if IsCustom("ram") || IsCustom("C00") || IsCustom("C21") {
		t.Error("ram, C00 or C21 is custom")
	}
}

func TestUserAttributes(t *testing.T) {
	for name, want := range map[string]bool{
		"user.plan": true, "contact.email": true, "user.": false, "contact.": false, "user": false, "os.version": false, "userx.a": false,
	} {
		if got := IsUserAttribute(name); got != want {
			t.Errorf("IsUserAttribute(%q) = %v", name, got)
		}
	}
}
