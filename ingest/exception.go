package ingest

import (
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// exceptionObject parses $exception.
func (d *decoder) exceptionObject(e *schemas.Event) error {
	if ok, err := d.expectObject("properties.$exception"); !ok || err != nil {
		return err
	}
	x := d.exception(e)
	return d.eachMember(func(name string) (err error) {
		switch name {
		case "className":
			x.Class, err = d.optionalString("properties.$exception.className", schemas.MaxTextChars)
		case "methodName":
			x.Method, err = d.optionalString("properties.$exception.methodName", schemas.MaxTextChars)
		case "message":
			x.Message, err = d.optionalString("properties.$exception.message", schemas.MaxEventBytes)
		case "stackTrace":
			x.Stack, err = d.optionalString("properties.$exception.stackTrace", schemas.MaxEventBytes)
		default:
			err = d.json.SkipValue()
		}
		return err
	})
}

// finishException assigns $exception_class and $exception_message, whose meaning
// depends on the event's name: on an event named exception they fill in the
// exception, on any other they are ordinary event properties.
func (d *decoder) finishException(e *schemas.Event) {
	class, message := d.item.exceptionClass, d.item.exceptionMessage
	if e.Name != schemas.ExceptionName {
		if class != nil {
			d.appendProperty(jsontext.Value(`"$exception_class"`), class)
		}
		if message != nil {
			d.appendProperty(jsontext.Value(`"$exception_message"`), message)
		}
		return
	}
	x := d.exception(e)
	if class != nil && x.Class == "" {
		x.Class = d.boundedString("properties.$exception_class", class, schemas.MaxTextChars)
	}
	if message != nil && x.Message == "" {
		x.Message = d.boundedString("properties.$exception_message", message, schemas.MaxEventBytes)
	}
}

func (d *decoder) exception(e *schemas.Event) *schemas.Exception {
	if e.Exception == nil {
		d.optional.exceptions = append(d.optional.exceptions, schemas.Exception{})
		e.Exception = &d.optional.exceptions[len(d.optional.exceptions)-1]
	}
	return e.Exception
}
