package rollup

import "strings"

// FindProperty finds one property in raw, as AppendJSON writes it, without reading
// the others; a cleared one too. The result shares memory with raw.
func FindProperty(raw, name string) (Property, bool, error) {
	if p, found, ok := findUnescaped(raw, name); ok {
		return p, found, nil
	}
	all, err := ParseProperties(raw)
	if err != nil {
		return Property{}, false, err
	}
	for i := range all {
		if all[i].Name == name {
			return all[i], true, nil
		}
	}
	return Property{}, false, nil
}

// FindProperties is FindProperty of several names, which need no quotes within them, into
// as many properties; one that is not there has no name. Of what was said at
// one moment, as most rows are, it looks at what they share once.
func FindProperties(raw string, names []string, into []Property) error {
	at, values, plain := parseSingleStamp(raw)
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
		p, _, err := FindProperty(raw, name)
		if err != nil {
			return err
		}
		into[i] = p
	}
	return nil
}

// parseSingleStamp reads when all of raw was said; ok is false where it may have been at
// several moments, or where values may be lists or objects.
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

// findValue looks for `"name":`, which stands nowhere but before its value:
// within a string the quotes would have a backslash. at is where the name is.
// ok is false of a name that may be one of the moments' own, and of a value that
// is no plain one. The name is plain text.
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

// stampPrefix is how properties that were said begin.
const stampPrefix = `[{"t":`

// findUnescaped is FindProperty of what AppendJSON writes. ok is false where the general
// reader must look: values may be lists or objects with names of their own.
func findUnescaped(raw, name string) (p Property, found, ok bool) {
	if !isUnescaped(name) || !strings.HasPrefix(raw, stampPrefix) || strings.IndexByte(raw[1:], '[') >= 0 {
		return p, false, false
	}
	value, at, found, ok := findValue(raw, name)
	if !found {
		return p, false, ok
	}
	p.Name, p.Value = name, value
	// The moment that it stands in begins with the last one before it.
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
