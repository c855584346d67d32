package report

import (
	"strings"

	"weir/schemas/values"
)

// countries lists the countries of each continent by their ISO 3166-1 alpha-2
// codes. The continents are those of GeoNames, which the databases for the
// countries of addresses use too: Cyprus is in Europe, and the islands around
// Antarctica belong to it. The regions of UN M49, which
// golang.org/x/text/language has, know no Antarctica and differ in nine
// countries.
var countries = map[string]string{
	"AF": "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ " +
		"NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
	"AN": "AQ BV GS HM TF",
	"AS": "AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP " +
		"OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE",
	"EU": "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD " +
		"ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA",
	"NA": "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX " +
		"TC TT US VC VG VI",
	"OC": "AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS",
	"SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
}

// continents maps countries to continents.
var continents = invert(countries)

// invert makes continents from countries.
func invert(countries map[string]string) map[string]string {
	continents := make(map[string]string)
	for continent, codes := range countries {
		for code := range strings.FieldsSeq(codes) {
			continents[code] = continent
		}
	}
	return continents
}

// ContinentOf returns the continent of a country, however it is spelled (see
// values.Country): AF, AN, AS, EU, NA, OC or SA; "" if no country is meant.
func ContinentOf(country string) string {
	if continent, ok := continents[country]; ok {
		return continent
	}
	return continents[values.Country(country)]
}
