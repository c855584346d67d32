package ingest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/changes"
	"weir/schemas/values"
)

// property stores one change of a client's properties. A nil error means that
// Kafka has acknowledged it.
func (s *Service) property(ctx context.Context, in *request) (any, error) {
	return s.change(ctx, in, schemas.PropertyChange)
}

// contact stores one change of a client's contacts. They are personal data: no
// log, answer or metric may hold a value, nor a name that the request gives,
// which may be an address by mistake.
func (s *Service) contact(ctx context.Context, in *request) (any, error) {
	return s.change(ctx, in, schemas.ContactChange)
}

func (s *Service) change(ctx context.Context, in *request, kind schemas.ChangeKind) (any, error) {
	c, err := in.decodeChange(kind)
	if err != nil {
		return nil, err
	}
	if err := in.limiter.reserve(s.now(), in.source.RatePerSecond, 1); err != nil {
		return nil, err
	}
	c.Time = s.now().UnixMilli()
	if err := s.publishChange(ctx, in, &c); err != nil {
		return nil, err
	}
	s.metrics.changes.WithLabelValues(string(kind)).Inc()
	return nil, nil
}

// decodeChange parses the body of one change. The result aliases the decoder's
// buffers; its Time is not set.
//
//	euid         as in an event
//	type         set, increase, add, remove or delete; contacts have none
//	properties   1 to 500, names of 1 to 256 characters without a leading $; see checkOperand
//	contacts     1 to 4 of ContactNames, strings of up to 256 characters
func (d *decoder) decodeChange(kind schemas.ChangeKind) (schemas.Change, error) {
	c := schemas.Change{Product: d.product, Kind: kind}
	d.index, d.item, d.client = 0, item{}, d.client[:0]
	shape, values := `{"euid":1,"type":"set","properties":{}}`, "properties"
	if kind == schemas.ContactChange {
		shape, values, c.Operation = `{"euid":1,"contacts":{}}`, "contacts", schemas.OpSet
	}
	err := d.readObject(shape, func() error {
		return d.eachMember(func(name string) error {
			if name == values {
				return d.changeValues(values)
			}
			v, err := d.json.ReadValue()
			if err == nil && v.Kind() != 'n' {
				d.changeField(&c, name, v)
			}
			return err
		})
	})
	if err != nil {
		return c, err
	}
	d.finishChange(&c, values)
	if len(d.itemErrors) > 0 {
		return c, d.changeError(values)
	}
	return c, nil
}

func (d *decoder) changeField(c *schemas.Change, name string, v jsontext.Value) {
	switch {
	case name == "euid":
		d.item.hasEUID = true
		c.Client = d.euid(v)
	case name == "type" && c.Kind == schemas.PropertyChange:
		d.item.hasName = true
		if v.Kind() == '"' {
			c.Operation = d.stringValue(v)
		}
		if !c.Kind.Has(c.Operation) {
			d.reject("type", "must be one of "+strings.Join(c.Kind.Operations(), ", "))
		}
	}
}

// changeValues reads the object of operands.
func (d *decoder) changeValues(field string) error {
	if d.json.PeekKind() != '{' {
		v, err := d.json.ReadValue()
		if err == nil && v.Kind() != 'n' {
			d.reject(field, "must be an object, not "+kindName(v))
		}
		return err
	}
	d.item.propertyCount = 0
	return d.eachMember(func(name string) error {
		v, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if d.item.propertyCount++; d.item.propertyCount <= schemas.MaxProperties {
			d.client = append(d.client, clientProp{name, v})
		}
		return nil
	})
}

// finishChange makes the checks that need the whole body, and writes the values
// as one JSON object without white space between tokens.
func (d *decoder) finishChange(c *schemas.Change, field string) {
	if !d.item.hasEUID {
		d.emptyEUID()
	}
	if c.Kind == schemas.PropertyChange && !d.item.hasName {
		d.reject("type", "is missing")
	}
	switch {
	case d.item.propertyCount > schemas.MaxProperties:
		d.reject(field, fmt.Sprintf("has more than %d", schemas.MaxProperties))
	case d.item.propertyCount == 0 && !d.rejected(field):
		d.reject(field, "is missing or empty")
	}
	if d.rejected("type") {
		return // without an operation the operands cannot be checked
	}
	d.propertyBuf = append(d.propertyBuf, '{')
	for i, p := range d.client {
		if c.Kind == schemas.ContactChange {
			d.checkContact(p)
		} else {
			d.checkProperty(c.Operation, p)
		}
		if i > 0 {
			d.propertyBuf = append(d.propertyBuf, ',')
		}
		d.propertyBuf, _ = jsontext.AppendQuote(d.propertyBuf, p.name) // cannot fail: the name is valid UTF-8
		d.propertyBuf = append(d.propertyBuf, ':')
		if c.Operation == schemas.OpDelete {
			d.propertyBuf = append(d.propertyBuf, "null"...)
			continue
		}
		d.propertyBuf, _, _ = appendCompact(d.propertyBuf, p.value)
	}
	d.propertyBuf = append(d.propertyBuf, '}')
	if len(d.propertyBuf) > maxChangeBytes {
		d.reject(field, fmt.Sprintf("is longer than %d bytes", maxChangeBytes))
	}
	c.Values = d.propertyBuf
}

// maxChangeBytes leaves 1 KiB of a record of MaxEventBytes for the other fields.
const maxChangeBytes = schemas.MaxEventBytes - 1<<10

// rejected reports whether a field is already among the errors.
func (d *decoder) rejected(field string) bool {
	return slices.ContainsFunc(d.itemErrors, func(e schemas.ItemError) bool { return e.Field == field })
}

func (d *decoder) checkContact(p clientProp) {
	switch {
	case !slices.Contains(schemas.ContactNames(), p.name):
		if !d.rejected("contacts") {
			d.reject("contacts", "may have "+strings.Join(schemas.ContactNames(), ", ")+" and no other name")
		}
	case p.value.Kind() != '"':
		d.reject("contacts."+p.name, "must be a string, not "+kindName(p.value))
	case values.LongerThan(d.stringValue(p.value), schemas.MaxNameChars):
		d.reject("contacts."+p.name, fmt.Sprintf("is longer than %d characters", schemas.MaxNameChars))
	}
}

func (d *decoder) checkProperty(operation string, p clientProp) {
	switch {
	case p.name == "" || values.LongerThan(p.name, schemas.MaxNameChars):
		d.reject("properties", fmt.Sprintf("has a name that is empty or longer than %d characters", schemas.MaxNameChars))
	case p.name[0] == '$':
		d.reject("properties."+p.name, "has a name that begins with $, which is reserved")
	case operation == schemas.OpSet && p.value.Kind() != '[' && tooLong(d, p.value, schemas.MaxTextChars):
		d.reject("properties."+p.name, fmt.Sprintf("is longer than %d characters", schemas.MaxTextChars))
	default:
		if reason := checkOperand(operation, p.value); reason != "" {
			d.reject("properties."+p.name, reason)
		}
	}
}

// checkOperand returns why an operation cannot use a value, or "". Whether it can
// be applied to what the client has is not checked: the stored value is not known
// here.
//
//	set           a string or number of up to 8192 characters, a boolean, or a list of strings
//	increase      a number of at most 100 digits before and after its point
//	add, remove   a list of strings, or a single one
//	delete        anything; the value is ignored
func checkOperand(operation string, v jsontext.Value) string {
	switch operation {
	case schemas.OpIncrease:
		if !changes.Addable(v) {
			return "must be a number of at most 100 digits before and after its point"
		}
	case schemas.OpAdd, schemas.OpRemove:
		if _, ok := changes.Members(v); !ok {
			return "must be a list of strings or a single one"
		}
	case schemas.OpSet:
		if k := v.Kind(); k == 'n' || k == '{' {
			return "must be a string, a number, a boolean or a list of strings, not " + kindName(v)
		}
		if v.Kind() == '[' {
			if _, ok := changes.Members(v); !ok {
				return "must be a list of strings, and has other members"
			}
			return ""
		}
		if v.Kind() == '0' && !values.Finite(v) {
			return notFinite
		}
	}
	return ""
}

// changeError returns the error that names the bad fields, with the code of the
// published document where it has one.
func (d *decoder) changeError(values string) error {
	first := d.itemErrors[0]
	detail := first.Field + " " + first.Reason
	if more := len(d.itemErrors) + d.moreItemErrors - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	code := codeBadItems
	switch {
	case d.emptyEUIDFirst:
		code = codeEmptyEUID
	case values == "properties" && strings.HasPrefix(first.Field, values):
		code = codeBadAttributes
	}
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: code, Detail: detail, Items: d.itemErrors}
}
