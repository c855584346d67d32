package rollup

import (
	"iter"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// Columns are the columns of an event batch that a Set reads.
func Columns() []string {
	return []string{
		columns.ProductID, columns.ClientID, columns.Time, columns.Name, columns.Category, columns.Value,
		columns.RuntimeMS, columns.Client, columns.Offset,
	}
}

// Set gathers the rollup rows of the events added to it. It belongs to one
// goroutine and keeps nothing of a batch once that was added.
type Set struct{}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{} }

// AddBatch adds all rows of a batch that has at least Columns.
func (s *Set) AddBatch(rec arrow.Record) error { return nil }

// Add adds row i of v, which has at least Columns.
func (s *Set) Add(v *columns.View, i int) {}

// AddClientDay merges a row; so do AddEventDay and AddClient. A row of one
// kind changes no row of another kind. The set may keep what r points to.
func (s *Set) AddClientDay(r *ClientDay) {}

// AddEventDay merges a row.
func (s *Set) AddEventDay(r *EventDay) {}

// AddClient merges a row.
func (s *Set) AddClient(r *Client) {}

// Merge adds all rows of o.
func (s *Set) Merge(o *Set) {}

// Events is how many events were added.
func (s *Set) Events() int64 { return 0 }

// Len is how many rows the set has.
func (s *Set) Len() int { return 0 }

// Bytes estimates the memory of the set.
func (s *Set) Bytes() int64 { return 0 }

// ClientDays yields the rows in the order of Compare. A row is the set's: it
// may be read until the set changes.
func (s *Set) ClientDays() iter.Seq[*ClientDay] { return func(func(*ClientDay) bool) {} }

// EventDays yields the rows in the order of Compare, as ClientDays does.
func (s *Set) EventDays() iter.Seq[*EventDay] { return func(func(*EventDay) bool) {} }

// Clients yields the rows in the order of Compare, as ClientDays does.
func (s *Set) Clients() iter.Seq[*Client] { return func(func(*Client) bool) {} }
