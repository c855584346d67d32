package export

import (
	"slices"
	"strconv"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/property"
	"weir/schemas/values"
)

// Kind is one kind of export: the events that it has, and its columns. Its files
// and its last lines have the same columns.
type Kind struct {
	Code    string   // in the registry and in object keys
	mark    string   // in file names, after the product id
	Monthly bool     // it also has a file for each month
	Columns []string // of the events table that Wants and Fields read; WantColumns are among them
	Fields  []Field

	AllProperties bool                      // Fields read every property of the client, and not those of clientKeys alone
	Wants         func(r *Rows, i int) bool // whether row i is an event of the kind
}

// Field is one column of an export.
type Field struct {
	Key    string                                  // in getLastLines
	Name   string                                  // in the header of the CSV
	Append func(dst []byte, r *Rows, i int) []byte // the value of row i as text; nothing for null
}

// WantColumns are the columns that the Wants of all kinds read.
func WantColumns() []string { return []string{columns.Name, columns.ExceptionClass} }

// Kinds returns all kinds, in the order in which their files are built.
func Kinds() []Kind {
	return []Kind{CustomEvents(), Exceptions(), RawEvents()}
}

// CustomEvents are all events but exceptions and the starts and stops of
// sessions.
func CustomEvents() Kind {
	return Kind{
		Code: "cust", mark: "_cust", Monthly: true,
		Columns: []string{
			columns.Time, columns.ClientID, columns.Name, columns.Category, columns.Client, columns.Properties, columns.ExceptionClass,
		},
		Fields: append(clientFields(),
			Field{"event.category", "Event Category", func(dst []byte, r *Rows, i int) []byte { return append(dst, r.Category.At(i)...) }},
			Field{"event.name", "Event Type", func(dst []byte, r *Rows, i int) []byte { return append(dst, r.Name.At(i)...) }},
			Field{"event.data", "Event Data", func(dst []byte, r *Rows, i int) []byte { return r.data.append(dst, r.Properties.At(i)) }},
		),
		Wants: func(r *Rows, i int) bool {
			name := r.Name.At(i)
			return name != schemas.SessionStart && name != schemas.SessionStop && !isException(r, i)
		},
	}
}

// Exceptions are the events with an exception.
func Exceptions() Kind {
	return Kind{
		Code: "exc", mark: "_exc", Monthly: true,
		Columns: []string{
			columns.Time, columns.ClientID, columns.Name, columns.Client,
			columns.ExceptionClass, columns.ExceptionMethod, columns.ExceptionMessage, columns.ExceptionStack,
		},
		Fields: append(clientFields(),
			Field{"exception.className", "Exception Class", func(dst []byte, r *Rows, i int) []byte { return append(dst, r.ExceptionClass.At(i)...) }},
			Field{"exception.methodName", "Exception Method", func(dst []byte, r *Rows, i int) []byte { return append(dst, r.ExceptionMethod.At(i)...) }},
			Field{"exception.message", "Exception Message", func(dst []byte, r *Rows, i int) []byte { return append(dst, r.ExceptionMessage.At(i)...) }},
			Field{"exception.stackTrace", "Exception Stack Trace", func(dst []byte, r *Rows, i int) []byte { return append(dst, r.ExceptionStack.At(i)...) }},
		),
		Wants: isException,
	}
}

// isException reports whether an event has an exception. Such an event has a
// class, which may be empty.
func isException(r *Rows, i int) bool {
	return !r.ExceptionClass.Null(i) || r.Name.At(i) == schemas.ExceptionName
}

func appendClient(dst []byte, r *Rows, i int) []byte {
	return strconv.AppendInt(dst, r.Client[i], 10)
}

// clientFields are the first columns of both tracking files: the time, the client,
// and the properties of the client at the event.
func clientFields() []Field {
	return []Field{
		{"timestamp", "Timestamp", func(dst []byte, r *Rows, i int) []byte { return appendSeconds(dst, r.Time[i]) }},
		clientField(property.NameClientID, appendClient),
		propField("prodEdition"),
		propField("prodVersion"),
		propField("prodBuild"),
		propField("prodLanguage"),
		propField("licenseType"),
		flagField("licenseStatus.allowed"),
		flagField("licenseStatus.blocked"),
		flagField("licenseStatus.activated"),
		flagField("licenseStatus.expired"),
		propField("os.version"),
		propField("osWordLength"),
		propField("osLanguage"),
		propField("cpuType"),
		propField("cpuCores"),
		propField("ram"),
		propField("displayCount"),
		resolutionField(),
		propField("dotNetVersion"),
		propField("gpu.model"),
		propField("formFactor"),
		propField("geography.country"),
		propField("geography.usState"),
	}
}

// clientField is a column about the client: its key and its header are those of
// the catalogue.
func clientField(key string, value func(dst []byte, r *Rows, i int) []byte) Field {
	return Field{Key: key, Name: property.Find(key).Header, Append: value}
}

// propField is a property of the client; what is not known is an empty field.
func propField(key string) Field {
	slot := slices.Index(clientKeys(), key)
	return clientField(key, func(dst []byte, r *Rows, _ int) []byte {
		return append(dst, r.prop(slot)...)
	})
}

// flagField is Y or N by the rule of reports, where a flag that was never reported is
// false.
func flagField(key string) Field {
	slot := slices.Index(clientKeys(), key)
	return clientField(key, func(dst []byte, r *Rows, _ int) []byte {
		if values.IsTrue(r.prop(slot)) {
			return append(dst, 'Y')
		}
		return append(dst, 'N')
	})
}

// resolutionField is the resolution that was sent as one text, or else the two
// numbers.
func resolutionField() Field {
	keys := clientKeys()
	whole := slices.Index(keys, resolutionKey)
	width, height := slices.Index(keys, widthKey), slices.Index(keys, heightKey)
	return clientField(resolutionKey, func(dst []byte, r *Rows, _ int) []byte {
		if text := r.prop(whole); text != "" {
			return append(dst, text...)
		}
		w, h := r.prop(width), r.prop(height)
		if w == "" || h == "" {
			return dst
		}
		dst = append(append(dst, w...), 'x')
		return append(dst, h...)
	})
}
