package rollup

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// keyedDay is the key of a day and its index in Set.days. Sorting compares keys that
// lie next to each other, and no rows.
type keyedDay struct {
	dayKey

	index int32
}

// compareDays orders by product, day and client, as ClientDay.Compare does.
func compareDays(a, b keyedDay) int {
	if c := cmp.Compare(a.product, b.product); c != 0 {
		return c
	}
	if c := cmp.Compare(a.day, b.day); c != 0 {
		return c
	}
	return cmp.Compare(a.client, b.client)
}

// compareClients orders by product, client and day.
func compareClients(a, b keyedDay) int {
	if c := cmp.Compare(a.product, b.product); c != 0 {
		return c
	}
	if c := cmp.Compare(a.client, b.client); c != 0 {
		return c
	}
	return cmp.Compare(a.day, b.day)
}

// sortedDays returns all days in an order.
func sortedDays(s *Set, compare func(a, b keyedDay) int) []keyedDay {
	keys := make([]keyedDay, len(s.days))
	for i := range s.days {
		d := &s.days[i].row
		keys[i] = keyedDay{dayKey{product: d.Product, client: d.Client, day: d.Day}, int32(i)}
	}
	slices.SortFunc(keys, compare)
	return keys
}

// mergeAll leaves no properties pending.
func mergeAll(s *Set) {
	s.mergeSent()
	for i := range s.days {
		s.mergePending(&s.days[i])
	}
}

// ClientDays yields the rows in the order of Compare. A row belongs to the set and
// may be read until the set changes.
func (s *Set) ClientDays() iter.Seq[*ClientDay] {
	return func(yield func(*ClientDay) bool) {
		mergeAll(s)
		for _, k := range sortedDays(s, compareDays) {
			if !yield(&s.days[k.index].row) {
				return
			}
		}
	}
}

// Clients yields the rows in the order of Compare; a client is the sum of its days.
// A row is valid until the iterator moves on.
func (s *Set) Clients() iter.Seq[*Client] {
	return func(yield func(*Client) bool) {
		mergeAll(s)
		order := sortedDays(s, compareClients)
		for len(order) > 0 {
			first := order[0]
			c := clientFromDay(&s.days[first.index].row)
			order = order[1:]
			for len(order) > 0 && order[0].client == first.client && order[0].product == first.product {
				next := clientFromDay(&s.days[order[0].index].row)
				c.Merge(&next)
				order = order[1:]
			}
			if !yield(&c) {
				return
			}
		}
	}
}

func clientFromDay(d *ClientDay) Client {
	return Client{
		Product: d.Product, Client: d.Client, Events: d.Events, Sessions: d.Sessions, RuntimeMS: d.RuntimeMS,
		First: d.First, Last: d.Last, Properties: d.Properties,
	}
}

// EventDays yields the rows in the order of Compare. A row is valid until the
// iterator moves on.
func (s *Set) EventDays() iter.Seq[*EventDay] {
	return func(yield func(*EventDay) bool) {
		var row EventDay
		for _, k := range sortedRows(s) {
			s.eventDay(&row, k.index)
			if !yield(&row) {
				return
			}
		}
	}
}

func (s *Set) eventDay(into *EventDay, i int32) {
	r := &s.rows[i]
	d := &s.days[r.key.day].row
	*into = EventDay{
		Product: d.Product, Client: d.Client, Day: d.Day, Name: s.strings.strings[r.key.name],
		Count: r.count, ValueSum: r.valueSum, ValueCount: r.valueCount, First: r.first,
	}
	if r.key.category != noID {
		into.HasCategory, into.Category = true, s.strings.strings[r.key.category]
	}
}

// keyedRow is a row of EventDays among those of its day.
type keyedRow struct {
	key   uint64 // orders by category, none first, and name
	index int32  // in Set.rows
}

// sortedRows returns all rows in the order of EventDay.Compare. Rows
// go to the place of their day first; then those of each day, which are few, are
// sorted by the ranks of their strings. No string is compared twice with the same.
func sortedRows(s *Set) []keyedRow {
	rank := s.strings.ranks()
	next := make([]int32, len(s.days)) // first the number of rows of each day, then where the next one goes
	for i := range s.rows {
		next[s.rows[i].key.day]++
	}
	days, start := sortedDays(s, compareDays), int32(0)
	for _, d := range days {
		next[d.index], start = start, start+next[d.index]
	}
	rows := make([]keyedRow, len(s.rows))
	for i := range s.rows {
		k := s.rows[i].key
		key := uint64(rank[k.name])
		if k.category != noID {
			key |= uint64(rank[k.category]+1) << 32
		}
		rows[next[k.day]] = keyedRow{key, int32(i)}
		next[k.day]++
	}
	start = 0
	for _, d := range days {
		slices.SortFunc(rows[start:next[d.index]], func(a, b keyedRow) int { return cmp.Compare(a.key, b.key) })
		start = next[d.index]
	}
	return rows
}

// ranks returns, by id, the place of each string in the order of their bytes.
func (t *stringTable) ranks() []int32 {
	ids := make([]int32, len(t.strings))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortFunc(ids, func(a, b int32) int { return strings.Compare(t.strings[a], t.strings[b]) })
	ranks := make([]int32, len(ids))
	for rank, id := range ids {
		ranks[id] = int32(rank)
	}
	return ranks
}
