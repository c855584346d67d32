package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// output is the result of a verb, for a script and for a person.
type output struct {
	json  orderedObject   // one object; nil when the result is rows
	rows  []orderedObject // a list
	lines []string        // for people
	hint  string          // what a person should do next
}

// orderedObject is a JSON object whose members keep their order. A member that is nil
// is left out.
type orderedObject []jsonField

// jsonField is a member of an orderedObject.
type jsonField struct {
	name  string
	value any
}

// MarshalJSONTo writes the members in order.
func (o orderedObject) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, m := range o {
		if m.value == nil {
			continue
		}
		if err := enc.WriteToken(jsontext.String(m.name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, m.value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// print writes the result as one line of JSON or as text.
func (a output) print(w io.Writer, asJSON bool) error {
	if !asJSON {
		text := strings.Join(a.lines, "\n") + "\n"
		if a.hint != "" {
			text += "\n" + a.hint + "\n"
		}
		_, err := io.WriteString(w, text)
		return err
	}
	var out any = a.json
	if a.json == nil {
		out = a.rows
	}
	text, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// revokedOutput names the delay because servers cache credentials.
func revokedOutput(noun, id string) output {
	return output{
		json:  orderedObject{{"revoked", id}},
		lines: []string{fmt.Sprintf("%s %s is revoked; every server knows it within 5 seconds", noun, id)},
	}
}

// listing is a table for a script and for a person.
type listing struct {
	columns []string
	rows    [][]any
}

func (t *listing) add(values ...any) { t.rows = append(t.rows, values) }

func (t *listing) answer() output {
	objects := make([]orderedObject, len(t.rows))
	lines := []string{strings.ToUpper(strings.Join(t.columns, "\t"))}
	for i, row := range t.rows {
		cells := make([]string, len(row))
		for j, value := range row {
			objects[i] = append(objects[i], jsonField{t.columns[j], jsonCell(value)})
			cells[j] = textCell(value)
		}
		lines = append(lines, strings.Join(cells, "\t"))
	}
	return output{rows: objects, lines: aligned(lines)}
}

// aligned aligns cells that are separated by tabs.
func aligned(lines []string) []string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")) // into memory
	_ = w.Flush()
	var out []string
	for line := range strings.SplitSeq(text.String(), "\n") {
		out = append(out, strings.TrimRight(line, " "))
	}
	return out
}

// jsonCell returns the JSON value of a cell. Ids are strings, because many JSON
// parsers round integers above 2^53; a zero time is left out.
func jsonCell(value any) any {
	switch v := value.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case []int64:
		return idStrings(v)
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.Format(time.RFC3339)
	}
	return value
}

// textCell returns the text of a cell; "-" stands for no value.
func textCell(value any) string {
	switch v := value.(type) {
	case string:
		return escapeText(v)
	case []int64:
		if len(v) == 0 {
			return "all"
		}
		return strings.Join(idStrings(v), ",")
	case float64:
		if v == 0 {
			return "-"
		}
	case time.Time:
		if v.IsZero() {
			return "-"
		}
		return v.Format("2006-01-02 15:04:05")
	}
	return fmt.Sprint(value)
}

// escapeText escapes text that could move the cursor of a terminal or break a
// table.
func escapeText(text string) string {
	if text == "" {
		return "-"
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func idStrings(ids []int64) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = strconv.FormatInt(id, 10)
	}
	return all
}
