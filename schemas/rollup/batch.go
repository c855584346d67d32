package rollup

import (
	"iter"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// batchRows is the number of rows in a batch of a set.
const batchRows = 4 << 10

// Wants is a set of optional columns of a batch. A column outside the set may be
// nil.
type Wants uint8

// Optional columns of the batches.
const (
	WantSums       Wants = 1 << iota // Sessions and RuntimeMS
	WantProperties                   // Properties
	WantValues                       // ValueSum and ValueCount
	WantFirst                        // First of events
	WantProduct                      // Product of days and clients that are stored, where a scan is of several

	WantAll = WantSums | WantProperties | WantValues | WantFirst
)

// DayBatch holds client days of one product as columns, or of several with WantProduct. Rows are deltas: several
// rows may have the same key, and the reader merges them. A batch and its strings
// are valid until the iterator moves on.
type DayBatch struct {
	Client              DictionaryColumn[int64]
	Day                 []int32  // days since 1970
	Sessions, RuntimeMS []int64  // WantSums
	Properties          []string // WantProperties; JSON, as Properties.AppendJSON writes it
	Product             []int64  // WantProduct
}

// EventBatch holds event days of one product as columns; see DayBatch.
type EventBatch struct {
	Client                DictionaryColumn[int64]
	Day                   []int32 // days since 1970
	Category, Name        DictionaryColumn[string]
	Count                 []int64
	ValueSum              []decimal128.Num // WantValues; in units of 10^-9
	ValueCount            []int64          // WantValues
	First                 []int64          // WantFirst; epoch milliseconds
	categories, eventName map[string]int32 // only of a set's batch: code by value
}

// DictionaryColumn is a dictionary-encoded column: each row holds the code of its
// value, an index into Values.
type DictionaryColumn[V comparable] struct {
	Codes        []int32 // of each row; −1 for null
	Values       []V
	DictionaryID any // batches with the same DictionaryID have the same Values; nil is never the same
}

// Append adds a row. It deduplicates only against the row before, which suffices
// for sorted rows.
func (c *DictionaryColumn[V]) Append(v V) {
	last := len(c.Values) - 1
	if last < 0 || c.Values[last] != v {
		c.Values = append(c.Values, v)
		last++
	}
	c.Codes = append(c.Codes, int32(last))
}

// ClientBatch holds clients of one product, each over its whole lifetime, as
// columns; see DayBatch.
type ClientBatch struct {
	Client              []int64
	First, Last         []int64  // epoch milliseconds
	Sessions, RuntimeMS []int64  // WantSums
	Properties          []string // WantProperties; JSON, as Properties.AppendJSON writes it
	Product             []int64  // WantProduct
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
		category = dictionaryCode(&b.Category, b.categories, d.Category)
	}
	b.Category.Codes = append(b.Category.Codes, category)
	b.Name.Codes = append(b.Name.Codes, dictionaryCode(&b.Name, b.eventName, d.Name))
	b.Client.Append(d.Client)
	b.Day, b.Count = append(b.Day, d.Day), append(b.Count, d.Count)
	b.ValueSum, b.ValueCount = append(b.ValueSum, d.ValueSum), append(b.ValueCount, d.ValueCount)
	b.First = append(b.First, d.First)
}

func dictionaryCode(c *DictionaryColumn[string], known map[string]int32, value string) int32 {
	code, ok := known[value]
	if !ok {
		code = int32(len(c.Values))
		known[value] = code
		c.Values = append(c.Values, value)
	}
	return code
}

// ClientBatches yields the clients of a set of one product.
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
