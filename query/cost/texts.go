package cost

import "slices"

// Texts is the texts that a condition wants. A list may be as long as a body, and
// is looked at for each value: a long one is a map. The zero value has none.
type Texts struct {
	List []string
	set  map[string]struct{} // nil for a short list
}

// NewTexts returns the texts of a list.
func NewTexts(list []string) Texts {
	const scanned = 8
	t := Texts{List: list}
	if len(list) > scanned {
		t.set = make(map[string]struct{}, len(list))
		for _, text := range list {
			t.set[text] = struct{}{}
		}
	}
	return t
}

// Has reports whether a text is wanted.
func (t *Texts) Has(text string) bool {
	if t.set != nil {
		_, found := t.set[text]
		return found
	}
	return slices.Contains(t.List, text)
}
