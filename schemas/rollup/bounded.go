package rollup

import "weir/schemas/property"

// MaxOtherProperties is how many properties outside the catalogue a row has of a
// client: the first by name. No report can ask for them, only the column client of raw
// files. It is a constant, since a row must be the same whoever computes it.
//
// The first by name, and not the first that came or the latest, make rows that do not
// depend on the order of merging: a name that is among the first of all is among the
// first of any part, so that no observation of it is ever lost.
const MaxOtherProperties = 100

// Bounded returns the properties of p that a row keeps: those of the catalogue, and of
// the others the first MaxOtherProperties and one more, which shows that there were
// more. The others stay in the events and nowhere else. The result may be p itself.
func (p Properties) Bounded() Properties {
	const kept = MaxOtherProperties + 1
	if len(p) <= kept {
		return p
	}
	others := 0
	for i := range p {
		if property.Find(p[i].Name) == nil {
			others++
		}
	}
	if others <= kept {
		return p
	}
	out := make(Properties, 0, len(p)-others+kept)
	others = 0
	for i := range p {
		if property.Find(p[i].Name) == nil {
			if others++; others > kept {
				continue
			}
		}
		out = append(out, p[i])
	}
	return out
}
