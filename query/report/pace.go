package report

import (
	"iter"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// stepsPerCheck is how many steps are taken between two looks at the context: few
// enough that they take some milliseconds at most.
const stepsPerCheck = 4096

// pace is asked in the loops that make an answer of what was counted, whether anybody
// still waits for it. What it stops is left half done: whoever began it looks at the
// context before the answer is used, and the writer of the answer at each piece.
type pace struct {
	ended func() error // nil is never
	steps int
	over  bool
}

// stop counts steps, and reports whether to take no more of them.
func (p *pace) stop(steps int) bool {
	if p.steps += steps; p.steps >= stepsPerCheck && p.ended != nil {
		p.steps, p.over = 0, p.over || p.ended() != nil
	}
	return p.over
}

// sortAtPace sorts like slices.SortFunc. When p stops, all elements count as equal, so
// that it ends soon, in any order.
func sortAtPace[E any](p *pace, all []E, compare func(a, b E) int) {
	slices.SortFunc(all, func(a, b E) int {
		if p.stop(1) {
			return 0
		}
		return compare(a, b)
	})
}

// stream is a JSON object whose members are made when they are written.
type stream iter.Seq2[string, any]

// MarshalJSONTo writes the members in their order.
func (s stream) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for name, value := range s {
		if err := enc.WriteToken(jsontext.String(name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}
