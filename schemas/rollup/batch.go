package rollup

import (
	"iter"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// batchRows is how many rows of a set make a batch.
const batchRows = 4 << 10

// Wants are the columns of a batch that are wanted beside those of every batch.
// Columns that are not wanted may be nil.
type Wants uint8

// Wants.
const (
	WantSums       Wants = 1 << iota // Sessions and RuntimeMS
	WantProperties                   // Properties
	WantValues                       // ValueSum and ValueCount
	WantFirst                        // First of events

	WantAll = WantSums | WantProperties | WantValues | WantFirst
)

// DayBatch is client days of one product in columns. Rows are deltas: one key
// may come several times. A batch is valid until the next one is asked for, and
// so are its strings.
type DayBatch struct {
	Client              Coded[int64]
	Day                 []int32  // days since 1970
	Sessions, RuntimeMS []int64  // WantSums
	Properties          []string // WantProperties; JSON, as Properties.AppendJSON writes it
}

// EventBatch is event days of one product in columns, as DayBatch.
type EventBatch struct {
	Client                Coded[int64]
	Day                   []int32 // days since 1970
	Category, Name        Coded[string]
	Count                 []int64
	ValueSum              []decimal128.Num // WantValues; in units of 10^-9
	ValueCount            []int64          // WantValues
	First                 []int64          // WantFirst; epoch milliseconds
	categories, eventName map[string]int32 // of a set's batch: code by value
}

// Coded is a column of values that repeat, as numbers.
type Coded[V comparable] struct {
	Codes  []int32 // of each row; −1 without a value
	Values []V
	Of     any // batches with the same Of, if it is not nil, have the same Values
}

// Append adds a row. Of values alone that follow one another it has each once.
func (c *Coded[V]) Append(v V) {
	last := len(c.Values) - 1
	if last < 0 || c.Values[last] != v {
		c.Values = append(c.Values, v)
		last++
	}
	c.Codes = append(c.Codes, int32(last))
}

// ClientBatch is clients' lives of one product in columns, as DayBatch.
type ClientBatch struct {
	Client              []int64
	First, Last         []int64  // epoch milliseconds
	Sessions, RuntimeMS []int64  // WantSums
	Properties          []string // WantProperties; JSON, as Properties.AppendJSON writes it
}

// DayBatches yields the client days of a set of one product.
func (s *Set) DayBatches(wants Wants) iter.Seq[*DayBatch] {
	return func(yield func(*DayBatch) bool) {
		var b DayBatch
		for d := range s.ClientDays() {
			b.Client.Append(d.Client)
			b.Day = append(b.Day, d.Day)
			b.Sessions, b.RuntimeMS = append(b.Sessions, d.Sessions), append(b.RuntimeMS, d.RuntimeMS)
			if wants&WantProperties != 0 {
				b.Properties = append(b.Properties, string(d.Properties.AppendJSON(nil)))
			}
			if len(b.Day) < batchRows {
				continue
			}
			if !yield(&b) {
				return
			}
			b = DayBatch{}
		}
		if len(b.Day) > 0 {
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
			if len(b.Day) < batchRows {
				continue
			}
			if !yield(b) {
				return
			}
			b = newEventBatch()
		}
		if len(b.Day) > 0 {
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
		category = codeOf(&b.Category, b.categories, d.Category)
	}
	b.Category.Codes = append(b.Category.Codes, category)
	b.Name.Codes = append(b.Name.Codes, codeOf(&b.Name, b.eventName, d.Name))
	b.Client.Append(d.Client)
	b.Day, b.Count = append(b.Day, d.Day), append(b.Count, d.Count)
	b.ValueSum, b.ValueCount = append(b.ValueSum, d.ValueSum), append(b.ValueCount, d.ValueCount)
	b.First = append(b.First, d.First)
}

func codeOf(c *Coded[string], known map[string]int32, value string) int32 {
	code, ok := known[value]
	if !ok {
		code = int32(len(c.Values))
		known[value] = code
		c.Values = append(c.Values, value)
	}
	return code
}

// ClientBatches yields the lives of a set of one product.
func (s *Set) ClientBatches(wants Wants) iter.Seq[*ClientBatch] {
	return func(yield func(*ClientBatch) bool) {
		var b ClientBatch
		for c := range s.Clients() {
			b.Client = append(b.Client, c.Client)
			b.First, b.Last = append(b.First, c.First), append(b.Last, c.Last)
			b.Sessions, b.RuntimeMS = append(b.Sessions, c.Sessions), append(b.RuntimeMS, c.RuntimeMS)
			if wants&WantProperties != 0 {
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

// FindEach is FindIn of several names, which need no quotes within them, into
// as many properties; one that is not there has no name. Of what was said at
// one moment, as most rows are, it looks at what they share once.
func FindEach(raw string, names []string, into []Property) error {
	at, values, plain := oneMoment(raw)
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
		p, _, err := FindIn(raw, name)
		if err != nil {
			return err
		}
		into[i] = p
	}
	return nil
}

// oneMoment reads when all of raw was said; ok is false where it may have been at
// several moments, or where values may be lists or objects.
func oneMoment(raw string) (at moment, values string, ok bool) {
	if at.time, values, ok = plainInt(raw, momentBegins); !ok {
		return at, "", false
	}
	if at.offset, values, ok = plainInt(values, `,"o":`); !ok {
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
		value, _, ok = plainValue(after)
		return value, at, ok, ok
	}
}

// momentBegins is how properties that were said begin.
const momentBegins = `[{"t":`

// findPlain is FindIn of what AppendJSON writes. ok is false where the general
// reader must look: values may be lists or objects with names of their own.
func findPlain(raw, name string) (p Property, found, ok bool) {
	if !plainText(name) || !strings.HasPrefix(raw, momentBegins) || strings.IndexByte(raw[1:], '[') >= 0 {
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
		next := strings.Index(raw[begins+1:at], momentBegins[1:])
		if next < 0 {
			break
		}
		begins += 1 + next
	}
	var rest string
	if p.Time, rest, ok = plainInt(raw[begins:], momentBegins[1:]); ok {
		p.Offset, _, ok = plainInt(rest, `,"o":`)
	}
	return p, ok, ok
}
