package ingest

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/values"
)

// readProperties parses the properties of an event. Reserved properties go to the
// fields of the event, all others are stored as they are.
//
//	$category, $session_id                       up to 256 characters
//	$app_name, $app_version, $content_locale,
//	$ui_locale, $user_agent, $ip                 up to 8192 characters
//	$value                                       a number of at most 18 digits before the point;
//	                                             more than 9 after it are rounded half to even;
//	                                             its text is kept when it is not the shortest
//	$runtime                                     seconds from 0 to 366 days, kept as whole milliseconds, half to even
//	$offline                                     true, false, "true" or "false"
//	$user, $client                               see objectproperties.go
//	$exception                                   {className, methodName, message, stackTrace}
//	$exception_class, $exception_message         the same, on an event named exception only
//
// null is the same as absent. So is "" for a text, that is, for $category to $ip
// above and the fields of $exception; for numbers and $offline "" has the wrong
// type. Every other name is an event property, also an unknown one with $. Its
// value is stored byte for byte, without the white space between tokens. $ip and
// $user_agent are never taken from the HTTP request: the sender may be a server
// that forwards events of many clients.
func (d *decoder) readProperties(e *schemas.Event) error {
	switch d.json.PeekKind() {
	case '{':
	case 'n':
		return d.json.SkipValue()
	default:
		v, err := d.json.ReadValue()
		if err == nil {
			d.reject("properties", "must be an object, not "+kindName(v))
		}
		return err
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	if len(d.propertyBuf) == 0 && cap(d.propertyBuf) < len(d.body) {
		d.propertyBuf = make([]byte, 0, len(d.body)) // enough for all: growing would keep the old arrays, which events alias
	}
	for d.json.PeekKind() != '}' {
		quoted, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		name := d.stringValue(quoted)
		if name != "" && name[0] == '$' {
			err = d.reservedProperty(e, quoted, name)
		} else {
			err = d.eventProperty(quoted)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// reservedProperty parses a property whose name begins with $.
func (d *decoder) reservedProperty(e *schemas.Event, quoted jsontext.Value, name string) error {
	switch name {
	case "$client":
		return d.clientObject(e)
	case "$user":
		return d.userObject(e)
	case "$exception":
		return d.exceptionObject(e)
	}
	if !isReservedScalar(name) {
		return d.eventProperty(quoted)
	}
	v, err := d.json.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	switch name {
	case "$exception_class":
		d.item.exceptionClass = v
	case "$exception_message":
		d.item.exceptionMessage = v
	default:
		d.reservedScalar(e, name, v)
	}
	return nil
}

// isReservedScalar reports whether a reserved name takes a single value.
func isReservedScalar(name string) bool {
	switch name {
	case "$category", "$value", "$session_id", "$runtime", "$app_name", "$app_version", "$content_locale", "$ui_locale",
		"$offline", "$user_agent", "$ip", "$exception_class", "$exception_message":
		return true
	}
	return false
}

func (d *decoder) reservedScalar(e *schemas.Event, name string, v jsontext.Value) {
	switch name {
	case "$category":
		d.category(e, v)
	case "$value":
		d.value(e, v)
	case "$session_id":
		e.SessionID = d.boundedString("properties.$session_id", v, schemas.MaxNameChars)
	case "$runtime":
		d.runtime(e, v)
	case "$offline":
		d.offline(e, v)
	case "$app_name":
		e.AppName = d.boundedString("properties.$app_name", v, schemas.MaxTextChars)
	case "$app_version":
		e.AppVersion = d.boundedString("properties.$app_version", v, schemas.MaxTextChars)
	case "$content_locale":
		e.ContentLocale = d.boundedString("properties.$content_locale", v, schemas.MaxTextChars)
	case "$ui_locale":
		e.UILocale = d.boundedString("properties.$ui_locale", v, schemas.MaxTextChars)
	case "$user_agent":
		e.UserAgent = d.boundedString("properties.$user_agent", v, schemas.MaxTextChars)
	case "$ip":
		e.IP = d.boundedString("properties.$ip", v, schemas.MaxTextChars)
	}
}

func (d *decoder) category(e *schemas.Event, v jsontext.Value) {
	s := d.boundedString("properties.$category", v, schemas.MaxNameChars)
	if s == "" {
		return
	}
	d.optional.categories = append(d.optional.categories, s)
	e.Category = &d.optional.categories[len(d.optional.categories)-1]
}

func (d *decoder) value(e *schemas.Event, v jsontext.Value) {
	n, err := schemas.ParseDecimal(v, schemas.ValueScale)
	if err == nil && !n.FitsInPrecision(schemas.MaxValueDigits+schemas.ValueScale) {
		err = schemas.ErrTooLarge
	}
	switch {
	case v.Kind() != '0':
		d.reject("properties.$value", "must be a number, not "+kindName(v))
	case err != nil:
		d.reject("properties.$value", fmt.Sprintf("%v: at most %d are kept", err, schemas.MaxValueDigits))
	default:
		d.optional.values = append(d.optional.values, n)
		e.Value = &d.optional.values[len(d.optional.values)-1]
		if !schemas.IsShortest(v, schemas.ValueScale) && len(v) <= schemas.MaxTextChars {
			e.ValueText = unsafeString(v)
		}
	}
}

// millis is the decimal scale of $runtime: seconds are stored as milliseconds.
const millis = 3

func (d *decoder) runtime(e *schemas.Event, v jsontext.Value) {
	n, err := schemas.ParseDecimal(v, millis)
	switch {
	case v.Kind() != '0':
		d.reject("properties.$runtime", "must be a number of seconds, not "+kindName(v))
	case err != nil || n.Sign() < 0 || n.HighBits() != 0 || n.LowBits() > schemas.MaxRuntimeMS:
		d.reject("properties.$runtime", fmt.Sprintf("must be seconds from 0 to %d", schemas.MaxRuntimeMS/1000))
	default:
		d.optional.runtimes = append(d.optional.runtimes, int64(n.LowBits()))
		e.RuntimeMS = &d.optional.runtimes[len(d.optional.runtimes)-1]
	}
}

func (d *decoder) offline(e *schemas.Event, v jsontext.Value) {
	var offline bool
	switch string(v) {
	case "true", `"true"`:
		offline = true
	case "false", `"false"`:
	default:
		d.reject("properties.$offline", "must be true or false")
		return
	}
	d.optional.flags = append(d.optional.flags, offline)
	e.Offline = &d.optional.flags[len(d.optional.flags)-1]
}

// eventProperty stores the next value under its quoted name.
func (d *decoder) eventProperty(quoted jsontext.Value) error {
	v, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	d.appendProperty(quoted, v)
	return nil
}

// appendProperty appends one member to the object of event properties.
func (d *decoder) appendProperty(quoted, v jsontext.Value) {
	separator := byte('{')
	if d.item.propertyCount > 0 {
		separator = ','
	}
	if d.item.propertyCount++; d.item.propertyCount > schemas.MaxProperties {
		if d.item.propertyCount == schemas.MaxProperties+1 {
			d.reject("properties", fmt.Sprintf("has more than %d of its own", schemas.MaxProperties))
		}
		return
	}
	d.propertyBuf = append(d.propertyBuf, separator)
	d.propertyBuf = append(d.propertyBuf, quoted...)
	d.propertyBuf = append(d.propertyBuf, ':')
	if k := v.Kind(); k != '{' && k != '[' {
		d.propertyBuf = append(d.propertyBuf, v...)
		if k == '0' && !values.Finite(v) {
			d.reject("properties."+d.stringValue(quoted), notFinite)
		}
		return
	}
	compacted, depth, large := appendCompact(d.propertyBuf, v)
	d.propertyBuf = compacted
	if depth > schemas.MaxNesting {
		d.reject("properties."+d.stringValue(quoted), fmt.Sprintf("is nested deeper than %d", schemas.MaxNesting))
	}
	if large && !values.FiniteWithin(v) {
		d.reject("properties."+d.stringValue(quoted), notFinite)
	}
}

// notFinite is what is wrong with a number such as 1e400, which most readers of
// answers could not read.
const notFinite = "has a number beyond ±1.8e308, which no 64-bit floating-point number holds"

func (d *decoder) finishProperties(e *schemas.Event) {
	if d.item.propertyCount == 0 {
		return
	}
	d.propertyBuf = append(d.propertyBuf, '}')
	e.Properties = d.propertyBuf[d.item.propertyStart:len(d.propertyBuf):len(d.propertyBuf)]
}

// isWhitespace reports whether JSON skips c between tokens.
func isWhitespace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// appendCompact appends valid JSON without the white space between tokens and
// returns its depth of nesting and whether a number in it may be too large for a
// float: whether it has an exponent, or is that long. jsontext.Value.Compact takes as long (376 to
// 364 ns, BenchmarkCompact) and the depth would need a second pass. FuzzCompact
// compares the two.
func appendCompact(dst []byte, v jsontext.Value) (_ []byte, deepest int, large bool) {
	const digits = 308
	depth, quoted := 0, false
	large = len(v) > digits && values.HasDigits(v, digits)
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case quoted && c == '\\':
			dst = append(dst, c)
			i++
			c = v[i]
		case c == '"':
			quoted = !quoted
		case quoted:
		case isWhitespace(c):
			continue
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		case c|0x20 == 'e' && '0' <= v[i-1] && v[i-1] <= '9': // no container begins with it
			large = true
		}
		dst = append(dst, c)
	}
	return dst, deepest, large
}
