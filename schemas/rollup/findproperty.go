package rollup

import (
	"slices"
	"strings"
)

// FindProperty finds one property in raw, as AppendJSON writes it, without
// parsing the others. It also finds a cleared one. The result shares memory with
// raw.
//
// It searches the text because reports look at one property of millions of rows:
// BenchmarkFindProperty measured 0.12 µs, BenchmarkParseProperties 0.9 µs for the
// same row, the JSON package 4 to 8 µs.
func FindProperty(raw, name string) (Property, bool, error) {
	if p, found, ok := findUnescaped(raw, name); ok {
		return p, found, nil
	}
	p, _, err := findParsed(raw, name, nil)
	return p, p.Value != "", err
}

// FindProperties is FindProperty of several names at once. Names must need no
// escapes. into has the length of names; a property that raw lacks is left
// without a name. The time and offset of a row whose properties all come from one
// event, as in most rows, are parsed once.
func FindProperties(raw string, names []string, into []Property) error {
	at, values, plain := parseSingleStamp(raw)
	var all Properties // parsed once, if text search does not find what some name has
	for i, name := range names {
		if plain {
			if value, _, has, ok := findValue(values, name); ok {
				into[i] = Property{}
				if has {
					into[i] = Property{Name: name, Value: value, Time: at.time, Offset: at.offset}
				}
				continue
			}
		}
		p, _, ok := findUnescaped(raw, name)
		if !ok {
			var err error
			if p, all, err = findParsed(raw, name, all); err != nil {
				return err
			}
		}
		into[i] = p
	}
	return nil
}

// findParsed finds a property by parsing raw, unless it is parsed: all is nil then.
func findParsed(raw, name string, all Properties) (Property, Properties, error) {
	if all == nil {
		var err error
		if all, err = ParseProperties(raw); err != nil {
			return Property{}, nil, err
		}
	}
	if i, found := slices.BinarySearchFunc(all, name, func(p Property, name string) int { return strings.Compare(p.Name, name) }); found {
		return all[i], all, nil
	}
	return Property{}, all, nil
}

// parseSingleStamp returns the time and offset of a row whose properties all come
// from one event, and its values. ok is false if there may be several events, or
// if values may be lists or objects.
func parseSingleStamp(raw string) (at stamp, values string, ok bool) {
	if at.time, values, ok = cutInt(raw, stampPrefix); !ok {
		return at, "", false
	}
	if at.offset, values, ok = cutInt(values, `,"o":`); !ok {
		return at, "", false
	}
	if values, ok = strings.CutPrefix(values, `,"v"`); !ok || !strings.HasPrefix(values, ":{") {
		return at, "", false
	}
	return at, values, strings.IndexByte(values, '[') < 0 && strings.IndexByte(values[2:], '{') < 0
}

// findValue searches for `"name":`, which can only precede the property's value:
// within a string its quotes would be escaped. at is the index of the name. ok is
// false if the name may be one of the keys "t", "o" and "v", or if the value is
// not a scalar without escapes. The name must need no escapes.
func findValue(values, name string) (value string, at int, has, ok bool) {
	if len(name) < 2 {
		return "", 0, false, false
	}
	for from := 0; ; {
		next := strings.Index(values[from:], name)
		if next < 0 {
			return "", 0, false, true
		}
		at, from = from+next, from+next+len(name)
		after, is := strings.CutPrefix(values[from:], `":`)
		if !is || values[at-1] != '"' || values[at-2] == '\\' {
			continue
		}
		value, _, ok = cutValue(after)
		return value, at, ok, ok
	}
}

// stampPrefix begins the JSON of properties that are not empty.
const stampPrefix = `[{"t":`

// findUnescaped is FindProperty by text search. ok is false if the general parser
// must look, because values may be lists or objects with names of their own.
func findUnescaped(raw, name string) (p Property, found, ok bool) {
	if !isUnescaped(name) || !strings.HasPrefix(raw, stampPrefix) || strings.IndexByte(raw[1:], '[') >= 0 {
		return p, false, false
	}
	value, at, found, ok := findValue(raw, name)
	if !found {
		return p, false, ok
	}
	p.Name, p.Value = name, value
	// The stamp that the value belongs to is the last one before it.
	begins := 1
	for {
		next := strings.Index(raw[begins+1:at], stampPrefix[1:])
		if next < 0 {
			break
		}
		begins += 1 + next
	}
	var rest string
	if p.Time, rest, ok = cutInt(raw[begins:], stampPrefix[1:]); ok {
		p.Offset, _, ok = cutInt(rest, `,"o":`)
	}
	return p, ok, ok
}
