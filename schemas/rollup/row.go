// Package rollup computes Weir's aggregates: mergeable rows for a client's day,
// an event's day and a client's lifetime. It is pure arithmetic on event time,
// without clock and I/O, and the only definition of a rollup: processor,
// compaction and query all use it.
//
// Rows merge by sum, minimum, maximum and last-by-time, so any split of the same
// events, merged in any order, gives the same rows. Each event must be added
// once; the package does not deduplicate.
package rollup

import (
	"cmp"
	"math"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// dayMS is the length of a day in milliseconds.
const dayMS = 86_400_000

// Day returns the UTC day of an epoch millisecond, in days since 1970.
func Day(ms int64) int32 {
	day := ms / dayMS
	if ms%dayMS < 0 {
		day--
	}
	return int32(max(math.MinInt32, min(math.MaxInt32, day)))
}

// ClientDay aggregates the events of one client on one UTC day.
type ClientDay struct {
	Product, Client int64
	Day             int32 // days since 1970
	Events          int64 // all events of the day
	Sessions        int64 // session_start events
	RuntimeMS       int64 // sum of $runtime of session_stop events, or OverflowedRuntime
	First, Last     int64 // event times; epoch milliseconds
	Properties      Properties
}

// Merge adds o, a row of the same client and day, to d.
func (d *ClientDay) Merge(o *ClientDay) {
	d.Events += o.Events
	d.Sessions += o.Sessions
	d.RuntimeMS = AddRuntime(d.RuntimeMS, o.RuntimeMS)
	d.First, d.Last = min(d.First, o.First), max(d.Last, o.Last)
	d.Properties = d.Properties.Merge(o.Properties)
}

// Compare orders by product, day and client. Equal rows have the same key and must
// be merged.
func (d *ClientDay) Compare(o *ClientDay) int {
	return cmp.Or(cmp.Compare(d.Product, o.Product), cmp.Compare(d.Day, o.Day), cmp.Compare(d.Client, o.Client))
}

// EventDay aggregates the events with one name and category of one client on one
// UTC day.
type EventDay struct {
	Product, Client int64
	Day             int32 // days since 1970
	HasCategory     bool  // false if the events have no category; an empty category counts as one
	Category, Name  string
	Count           int64
	ValueSum        decimal128.Num // of $value, in units of 10^-9, or OverflowedValues
	ValueCount      int64          // events that have a $value
	First           int64          // earliest event time; epoch milliseconds
}

// Merge adds o, a row of the same client, day, category and name, to d.
func (d *EventDay) Merge(o *EventDay) {
	d.Count += o.Count
	d.ValueSum = addValues(d.ValueSum, o.ValueSum)
	d.ValueCount += o.ValueCount
	d.First = min(d.First, o.First)
}

// Compare orders by product, day, client, category (none first) and name. Equal
// rows have the same key and must be merged.
func (d *EventDay) Compare(o *EventDay) int {
	if c := cmp.Or(cmp.Compare(d.Product, o.Product), cmp.Compare(d.Day, o.Day), cmp.Compare(d.Client, o.Client)); c != 0 {
		return c
	}
	if d.HasCategory != o.HasCategory {
		if o.HasCategory {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(d.Category, o.Category), cmp.Compare(d.Name, o.Name))
}

// Client aggregates all events of one client.
type Client struct {
	Product, Client int64
	Events          int64
	Sessions        int64
	RuntimeMS       int64      // sum, or OverflowedRuntime
	First, Last     int64      // event times; epoch milliseconds
	Properties      Properties // current ones
}

// InstallDay returns the day of the earliest event. An older event that arrives
// later moves it.
func (c *Client) InstallDay() int32 { return Day(c.First) }

// Merge adds o, a row of the same client, to c.
func (c *Client) Merge(o *Client) {
	c.Events += o.Events
	c.Sessions += o.Sessions
	c.RuntimeMS = AddRuntime(c.RuntimeMS, o.RuntimeMS)
	c.First, c.Last = min(c.First, o.First), max(c.Last, o.Last)
	c.Properties = c.Properties.Merge(o.Properties)
}

// Compare orders by product and client. Equal rows have the same key and must be
// merged.
func (c *Client) Compare(o *Client) int {
	return cmp.Or(cmp.Compare(c.Product, o.Product), cmp.Compare(c.Client, o.Client))
}
