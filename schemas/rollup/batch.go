package rollup

import (
	"iter"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// batchRows is how many rows of a set make a batch.
const batchRows = 4 << 10

// DayBatch is client days of one product in columns. Rows are deltas: one key
// may come several times. A batch is valid until the next one is asked for, and
// so are its strings.
type DayBatch struct {
	Client              []int64
	Day                 []int32 // days since 1970
	Sessions, RuntimeMS []int64
	Properties          []string // JSON, as Properties.AppendJSON writes it; nil when not asked for
}

// EventBatch is event days of one product in columns, as DayBatch.
type EventBatch struct {
	Client                []int64
	Day                   []int32 // days since 1970
	Category, Name        Coded
	Count                 []int64
	ValueSum              []decimal128.Num // in units of 10^-9; nil when not asked for, as ValueCount
	ValueCount            []int64
	First                 []int64          // epoch milliseconds; nil when not asked for
	categories, eventName map[string]int32 // of a set's batch: code by value
}

// Coded is a column of strings as numbers.
type Coded struct {
	Codes  []int32 // of each row; −1 without a value
	Values []string
}

// ClientBatch is clients' lives of one product in columns, as DayBatch.
type ClientBatch struct {
	Client              []int64
	First, Last         []int64 // epoch milliseconds
	Sessions, RuntimeMS []int64
	Properties          []string // JSON, as Properties.AppendJSON writes it; nil when not asked for
}

// DayBatches yields the client days of a set of one product.
func (s *Set) DayBatches(properties bool) iter.Seq[*DayBatch] {
	return func(yield func(*DayBatch) bool) {
		var b DayBatch
		for d := range s.ClientDays() {
			b.Client, b.Day = append(b.Client, d.Client), append(b.Day, d.Day)
			b.Sessions, b.RuntimeMS = append(b.Sessions, d.Sessions), append(b.RuntimeMS, d.RuntimeMS)
			if properties {
				b.Properties = append(b.Properties, string(d.Properties.AppendJSON(nil)))
			}
			if len(b.Client) < batchRows {
				continue
			}
			if !yield(&b) {
				return
			}
			b = DayBatch{}
		}
		if len(b.Client) > 0 {
			yield(&b)
		}
	}
}

// EventBatches yields the event days of a set of one product.
func (s *Set) EventBatches() iter.Seq[*EventBatch] {
	return func(yield func(*EventBatch) bool) {
		b := newEventBatch()
		for d := range s.EventDays() {
			b.add(d)
			if len(b.Client) < batchRows {
				continue
			}
			if !yield(b) {
				return
			}
			b = newEventBatch()
		}
		if len(b.Client) > 0 {
			yield(b)
		}
	}
}

func newEventBatch() *EventBatch {
	return &EventBatch{categories: map[string]int32{}, eventName: map[string]int32{}}
}

func (b *EventBatch) add(d *EventDay) {
	category := int32(-1)
	if d.HasCategory {
		category = b.Category.code(b.categories, d.Category)
	}
	b.Category.Codes = append(b.Category.Codes, category)
	b.Name.Codes = append(b.Name.Codes, b.Name.code(b.eventName, d.Name))
	b.Client, b.Day, b.Count = append(b.Client, d.Client), append(b.Day, d.Day), append(b.Count, d.Count)
	b.ValueSum, b.ValueCount = append(b.ValueSum, d.ValueSum), append(b.ValueCount, d.ValueCount)
	b.First = append(b.First, d.First)
}

func (c *Coded) code(known map[string]int32, value string) int32 {
	code, ok := known[value]
	if !ok {
		code = int32(len(c.Values))
		known[value] = code
		c.Values = append(c.Values, value)
	}
	return code
}

// ClientBatches yields the lives of a set of one product.
func (s *Set) ClientBatches(properties bool) iter.Seq[*ClientBatch] {
	return func(yield func(*ClientBatch) bool) {
		var b ClientBatch
		for c := range s.Clients() {
			b.Client = append(b.Client, c.Client)
			b.First, b.Last = append(b.First, c.First), append(b.Last, c.Last)
			b.Sessions, b.RuntimeMS = append(b.Sessions, c.Sessions), append(b.RuntimeMS, c.RuntimeMS)
			if properties {
				b.Properties = append(b.Properties, string(c.Properties.AppendJSON(nil)))
			}
			if len(b.Client) < batchRows {
				continue
			}
			if !yield(&b) {
				return
			}
			b = ClientBatch{}
		}
		if len(b.Client) > 0 {
			yield(&b)
		}
	}
}

// FindIn finds one property in raw, as AppendJSON writes it, without reading
// the others; a cleared one too. The result shares memory with raw.
func FindIn(raw, name string) (Property, bool, error) {
	if p, found, ok := findPlain(raw, name); ok {
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

// momentBegins is how properties that were said begin.
const momentBegins = `[{"t":`

// findPlain looks for `"name":`, which stands nowhere but before its value:
// within a string the quotes would have a backslash. ok is false where the
// general reader must look: the name may be one of the moments', or values
// lists or objects with names of their own.
func findPlain(raw, name string) (p Property, found, ok bool) {
	if len(name) < 2 || !strings.HasPrefix(raw, momentBegins) || strings.IndexByte(raw[1:], '[') >= 0 {
		return p, false, false
	}
	for from := 0; ; {
		at := strings.Index(raw[from:], name)
		if at < 0 {
			return p, false, true
		}
		at, from = from+at, from+at+len(name)
		value, is := strings.CutPrefix(raw[from:], `":`)
		if !is || raw[at-1] != '"' || raw[at-2] == '\\' {
			continue
		}
		p.Name = name
		if p.Value, _, ok = plainValue(value); !ok {
			return p, false, false
		}
		// The moment that it stands in begins with the last one before it.
		begins := 1
		for {
			next := strings.Index(raw[begins+1:at], momentBegins[1:])
			if next < 0 {
				break
			}
			begins += 1 + next
		}
		p.Time, value, ok = plainInt(raw[begins:], momentBegins[1:], ',')
		if ok {
			p.Offset, _, ok = plainInt(value, `,"o":`, ',')
		}
		return p, ok, ok
	}
}
