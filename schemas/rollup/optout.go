package rollup

import (
	"iter"
	"slices"
	"strings"

	"weir/schemas/property"
	"weir/schemas/values"
)

// OptOut is one observation of the flag optOut.current, which a client reports
// when it opts out and when it opts in again: the last one of a client's day.
type OptOut struct {
	Client       int64
	Time, Offset int64 // of the event that reported it; epoch milliseconds
	Out          bool
}

// FindOptOut finds the observation of optOut.current in the properties of a
// row, as AppendJSON writes them; false if there is none.
func FindOptOut(client int64, properties string) (OptOut, bool, error) {
	p, found, err := FindProperty(properties, property.NameOptOut)
	if err != nil || !found {
		return OptOut{}, false, err
	}
	return p.optOut(client), true, nil
}

// optOut reads the property as the observation that it is. Cleared is not out.
func (p *Property) optOut(client int64) OptOut {
	text, _ := values.Text(p.Value)
	return OptOut{Client: client, Time: p.Time, Offset: p.Offset, Out: values.IsTrue(text)}
}

// ReportsOptOut reports whether an event that was added to s has optOut.current.
func ReportsOptOut(s *Set) bool {
	return slices.ContainsFunc(s.props.properties, func(p Properties) bool {
		return slices.ContainsFunc(p, func(one Property) bool { return one.Name == property.NameOptOut })
	})
}

// OptOuts yields the observations of the client days of s.
func OptOuts(s *Set) iter.Seq[OptOut] {
	return func(yield func(OptOut) bool) {
		if !ReportsOptOut(s) {
			return
		}
		for d := range s.ClientDays() {
			i, found := slices.BinarySearchFunc(d.Properties, property.NameOptOut, func(p Property, name string) int { return strings.Compare(p.Name, name) })
			if found && !yield(d.Properties[i].optOut(d.Client)) {
				return
			}
		}
	}
}
