package rollup

import (
	"strings"
)

// Properties are a client's standard properties, last by time, in the order of
// their names. The slice is never changed in place: a Merge that changes
// something makes another.
type Properties []Property

// Property is the latest value of one property.
type Property struct {
	Name         string // dotted
	Value        string // JSON as it was sent; "null" when the latest event cleared it
	Time, Offset int64  // event time in epoch milliseconds, and offset, of the event that said so
}

// Cleared says that the latest event took the value away. The row stays, so
// that an older value that comes later does not come back.
func (p *Property) Cleared() bool { return p.Value == cleared }

// cleared is the Value of a property without one.
const cleared = "null"

// compareAge orders by (time, offset), and by value so that the order is total.
func (p *Property) newer(o *Property) bool {
	if p.Time != o.Time {
		return p.Time > o.Time
	}
	if p.Offset != o.Offset {
		return p.Offset > o.Offset
	}
	return p.Value > o.Value
}

// Merge is the later of p and o, property by property.
func (p Properties) Merge(o Properties) Properties {
	if len(o) == 0 {
		return p
	}
	if len(p) == 0 {
		return o
	}
	out := make(Properties, 0, max(len(p), len(o)))
	for len(p) > 0 && len(o) > 0 {
		switch c := strings.Compare(p[0].Name, o[0].Name); {
		case c < 0:
			out, p = append(out, p[0]), p[1:]
		case c > 0:
			out, o = append(out, o[0]), o[1:]
		case o[0].newer(&p[0]):
			out, p, o = append(out, o[0]), p[1:], o[1:]
		default:
			out, p, o = append(out, p[0]), p[1:], o[1:]
		}
	}
	return append(append(out, p...), o...)
}
