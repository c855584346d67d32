package query

import (
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
	"weir/schemas/columns"
)

// exportKind is one kind of export: which events it has and what it says of
// each. Its files and its last lines are the same columns.
type exportKind struct {
	code    string   // in the registry and in object keys
	mark    string   // in file names, behind the product id
	monthly bool     // has a file for each month too
	columns []string // of the events table that wants and fields read
	fields  []exportField
	wants   func(r *exportRows, i int) bool
}

// exportField is one column of an export.
type exportField struct {
	key    string // in getLastLines
	name   string // in the header of the CSV
	append func(dst []byte, r *exportRows, i int) []byte
}

// exportKinds are all there are, in the order they are built.
func exportKinds() []exportKind {
	return []exportKind{customEvents(), exceptions(), rawEvents()}
}

// customEvents are all events but exceptions and the starts and stops of
// sessions.
func customEvents() exportKind {
	return exportKind{
		code: "cust", mark: "_cust", monthly: true,
		columns: []string{
			columns.Time, columns.ClientID, columns.Name, columns.Category, columns.Client, columns.Properties,
			columns.ExceptionClass, columns.ExceptionMethod, columns.ExceptionMessage, columns.ExceptionStack,
		},
		fields: append(clientFields(),
			exportField{"event.category", "Event Category", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.Category.At(i)...) }},
			exportField{"event.name", "Event Type", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.Name.At(i)...) }},
			exportField{"event.data", "Event Data", func(dst []byte, r *exportRows, i int) []byte { return r.data.append(dst, r.Properties.At(i)) }},
		),
		wants: func(r *exportRows, i int) bool {
			name := r.Name.At(i)
			return name != schemas.SessionStart && name != schemas.SessionStop && !isException(r, i)
		},
	}
}

// exceptions are the events that tell of an exception.
func exceptions() exportKind {
	return exportKind{
		code: "exc", mark: "_exc", monthly: true,
		columns: []string{
			columns.Time, columns.ClientID, columns.Name, columns.Client,
			columns.ExceptionClass, columns.ExceptionMethod, columns.ExceptionMessage, columns.ExceptionStack,
		},
		fields: append(clientFields(),
			exportField{"exception.className", "Exception Class", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.ExceptionClass.At(i)...) }},
			exportField{"exception.methodName", "Exception Method", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.ExceptionMethod.At(i)...) }},
			exportField{"exception.message", "Exception Message", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.ExceptionMessage.At(i)...) }},
			exportField{"exception.stackTrace", "Exception Stack Trace", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.ExceptionStack.At(i)...) }},
		),
		wants: isException,
	}
}

// isException says whether an event is an exception: by its name, or by what
// it carries.
func isException(r *exportRows, i int) bool {
	return r.Name.At(i) == schemas.ExceptionName || !r.ExceptionClass.Null(i) || !r.ExceptionMethod.Null(i) ||
		!r.ExceptionMessage.Null(i) || !r.ExceptionStack.Null(i)
}

// rawEvents are all events.
func rawEvents() exportKind {
	return exportKind{
		code: "raw",
		columns: []string{
			columns.RandomID, columns.Arrival, columns.Time, columns.ClientID, columns.Name, columns.Category, columns.Value,
			columns.SessionID, columns.RuntimeMS, columns.AppKey, columns.Properties, columns.Shard, columns.Offset,
		},
		fields: []exportField{
			rawField("id", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.RandomID.At(i)...) }),
			rawField("received", func(dst []byte, r *exportRows, i int) []byte { return appendMillis(dst, r.Arrival[i]) }),
			rawField("time", func(dst []byte, r *exportRows, i int) []byte { return appendMillis(dst, r.Time[i]) }),
			rawField("clientId", appendClient),
			rawField("name", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.Name.At(i)...) }),
			rawField("category", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.Category.At(i)...) }),
			rawField("value", appendValue),
			rawField("sessionId", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.SessionID.At(i)...) }),
			rawField("runtime", appendRuntime),
			rawField("appKey", func(dst []byte, r *exportRows, i int) []byte { return append(dst, r.AppKey.At(i)...) }),
			rawField("properties", appendProperties),
			rawField("shard", func(dst []byte, r *exportRows, i int) []byte { return strconv.AppendInt(dst, int64(r.Shard[i]), 10) }),
			rawField("offset", func(dst []byte, r *exportRows, i int) []byte { return strconv.AppendInt(dst, r.Offset[i], 10) }),
		},
		wants: func(*exportRows, int) bool { return true },
	}
}

// rawField is a column whose key is its name.
func rawField(name string, value func(dst []byte, r *exportRows, i int) []byte) exportField {
	return exportField{key: name, name: name, append: value}
}

func appendClient(dst []byte, r *exportRows, i int) []byte {
	return strconv.AppendInt(dst, r.Client[i], 10)
}

func appendValue(dst []byte, r *exportRows, i int) []byte {
	if r.Value.Null(i) {
		return dst
	}
	return appendDecimal(dst, r.Value.At(i), schemas.ValueScale)
}

// appendRuntime appends the runtime in seconds, the unit it was sent in.
func appendRuntime(dst []byte, r *exportRows, i int) []byte {
	if r.Runtime.Null(i) {
		return dst
	}
	return appendDecimal(dst, decimal128.FromI64(r.Runtime.At(i)), 3)
}

// appendProperties appends the own properties: always JSON, an event without
// any has an empty object.
func appendProperties(dst []byte, r *exportRows, i int) []byte {
	if r.Properties.Null(i) {
		return append(dst, "{}"...)
	}
	return append(dst, r.Properties.At(i)...)
}

// clientFields are the columns that both tracking files begin with: when, who,
// and what the event itself said of its client.
func clientFields() []exportField {
	return []exportField{
		{"timestamp", "Timestamp", func(dst []byte, r *exportRows, i int) []byte { return appendSeconds(dst, r.Time[i]) }},
		{"clientId", "Client ID", appendClient},
		propField("prodEdition", "Edition"),
		propField("prodVersion", "Version"),
		propField("prodBuild", "Build"),
		propField("prodLanguage", "Language"),
		propField("licenseType", "License Type"),
		flagField("licenseStatus.allowed", "Key Allowed"),
		flagField("licenseStatus.blocked", "Key Blocked"),
		flagField("licenseStatus.activated", "Key Activated"),
		flagField("licenseStatus.expired", "Key Expired"),
		propField("os.version", "OS Type"),
		propField("osWordLength", "OS Architecture"),
		propField("osLanguage", "OS Language"),
		propField("cpuType", "CPU Type"),
		propField("cpuCores", "CPU Cores"),
		propField("ram", "RAM"),
		propField("displayCount", "Number of Monitors"),
		resolutionField(),
		propField("dotNetVersion", ".NET Versions"),
		propField("gpu.model", "GPU"),
		propField("formFactor", "Computer Type"),
		propField("geography.country", "Country"),
		propField("geography.usState", "US State"),
	}
}

// propField is a property of $client; one that is null is empty.
func propField(key, name string) exportField {
	slot := slices.Index(clientKeys(), key)
	return exportField{key, name, func(dst []byte, r *exportRows, i int) []byte {
		return append(dst, r.prop(slot, i)...)
	}}
}

// flagField is Y or N; a flag that nobody has set is N.
func flagField(key, name string) exportField {
	slot := slices.Index(clientKeys(), key)
	return exportField{key, name, func(dst []byte, r *exportRows, i int) []byte {
		switch r.prop(slot, i) {
		case "true", "1", "Y", "yes":
			return append(dst, 'Y')
		}
		return append(dst, 'N')
	}}
}

// resolutionField is what was sent as one text, or else as two numbers.
func resolutionField() exportField {
	keys := clientKeys()
	whole := slices.Index(keys, "resolution")
	width, height := slices.Index(keys, "resolutionWidth"), slices.Index(keys, "resolutionHeight")
	return exportField{"resolution", "Screen Resolution", func(dst []byte, r *exportRows, i int) []byte {
		if text := r.prop(whole, i); text != "" {
			return append(dst, text...)
		}
		w, h := r.prop(width, i), r.prop(height, i)
		if w == "" || h == "" {
			return dst
		}
		dst = append(append(dst, w...), 'x')
		return append(dst, h...)
	}}
}

// appendHeader appends the first record of the file.
func (k exportKind) appendHeader(dst []byte) []byte {
	for n, f := range k.fields {
		if n > 0 {
			dst = append(dst, ',')
		}
		start := len(dst)
		dst = closeField(append(dst, f.name...), start)
	}
	return append(dst, csvEnd...)
}

// appendRecord appends row i of r.
func (k exportKind) appendRecord(dst []byte, r *exportRows, i int) []byte {
	for n, f := range k.fields {
		if n > 0 {
			dst = append(dst, ',')
		}
		start := len(dst)
		dst = closeField(f.append(dst, r, i), start)
	}
	return append(dst, csvEnd...)
}
