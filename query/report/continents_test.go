package report

import (
	"strings"
	"testing"

	"golang.org/x/text/language"
)

// assigned lists the codes of ISO 3166-1, in its order.
const assigned = `AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF
GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW
KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL
NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST
SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW`

// elsewhere maps the countries that are in another region of the UN, as x/text has
// them, to their continent.
var elsewhere = map[string]string{
	"AQ": "AN", "BV": "AN", "GS": "AN", "HM": "AN", "TF": "AN", // the UN has no Antarctica
	"CC": "AS", "IO": "AS", "TL": "OC", "CY": "EU",
}

// TestEveryCountry compares each country with the regions of the UN, except those
// that are known to differ.
func TestEveryCountry(t *testing.T) {
	regions := map[string]string{"AF": "002", "AS": "142", "EU": "150", "NA": "003", "OC": "009", "SA": "005"}
	codes := strings.Fields(assigned)
	if len(codes) != 249 || len(continents) != 249 {
		t.Errorf("%d codes of ISO and %d of ours, want 249", len(codes), len(continents))
	}
	for _, code := range codes {
		got := ContinentOf(code)
		if want, ok := elsewhere[code]; ok {
			if got != want {
				t.Errorf("continent of %s = %q, want %q", code, got, want)
			}
			continue
		}
		region, ok := regions[got]
		if !ok || !language.MustParseRegion(region).Contains(language.MustParseRegion(code)) {
			t.Errorf("continent of %s = %q, which is another region of the UN", code, got)
		}
	}
}

func TestUnknownCountriesHaveNoContinent(t *testing.T) {
	for _, code := range []string{"", "XX", "EU", "D", "<NULL>", "nowhere"} {
		if got := ContinentOf(code); got != "" {
			t.Errorf("continent of %q = %q, want none", code, got)
		}
	}
	for name, want := range map[string]string{"UK": "EU", "gb": "EU", "germany": "EU", "DEU": "EU", "usa": "NA", "Brazil": "SA"} {
		if got := ContinentOf(name); got != want {
			t.Errorf("continent of %q = %q, want %s", name, got, want)
		}
	}
}
