package values

import (
	"strings"
	"testing"
)

func TestCountry(t *testing.T) {
	for text, want := range map[string]string{
		"GB": "GB", "gb": "GB", "UK": "GB", "uk": "GB", "GBR": "GB", "United Kingdom": "GB", "great britain": "GB", "england": "GB",
		"DE": "DE", "germany": "DE", "Germany": "DE", " GERMANY ": "DE", "deu": "DE", "EL": "GR", "greece": "GR",
		"Côte d’Ivoire": "CI", "cote d'ivoire": "CI", "ivory coast": "CI", "St. Lucia": "LC", "Saint Lucia": "LC", "Antigua and Barbuda": "AG",
		"The Netherlands": "NL", "the gambia": "GM", "U.S.A.": "US", "u.s.": "US", "Korea (South)": "KR", "North Korea": "KP", "Türkiye": "TR", "turkey": "TR",
		"": "", "XX": "", "Deutschland": "", "the": "", "0": "", "EU": "", strings.Repeat("a", 1000): "",
	} {
		if got := Country(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestCountryTableIsUnambiguous: no name and no code stands for two countries.
func TestCountryTableIsUnambiguous(t *testing.T) {
	seen := map[string]string{"uk": "GB", "el": "GR"}
	lines := strings.Split(strings.TrimSpace(countryTable), "\n")
	for _, line := range lines {
		two, rest, _ := strings.Cut(line, " ")
		three, names, _ := strings.Cut(rest, " ")
		if len(two) != 2 || len(three) != 3 || names == "" {
			t.Errorf("%q is no line of the table", line)
		}
		for name := range strings.SplitSeq(two+"|"+three+"|"+names, "|") {
			if other, known := seen[countryKey(name)]; known {
				t.Errorf("%q stands for %s and %s", name, other, two)
			}
			seen[countryKey(name)] = two
		}
	}
	if len(lines) != 249 {
		t.Errorf("%d countries, want 249", len(lines))
	}
}

func FuzzCountry(f *testing.F) {
	for _, text := range []string{"UK", "germany", "Côte d’Ivoire", "\xff", "the the"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code := Country(text)
		if code != "" && Country(code) != code {
			t.Errorf("%q is %q, which is %q", text, code, Country(code))
		}
	})
}
