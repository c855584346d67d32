package export

import (
	"iter"
	"maps"
	"slices"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// maxListedClients is how many clients a filter names at most; with more, rows of
// all clients are read and those of others are left out here.
const maxListedClients = 1 << 16

// dayMS is the length of a day in milliseconds.
const dayMS = 86_400_000

// clientGroup is the clients of the rows of some products, whose values are found
// together: each table is scanned once for all of them, and its rows are dealt to the
// values of their product. It belongs to one goroutine.
type clientGroup struct {
	products []int64           // ascending
	values   [][]*clientValues // of each of products; those of a product have its files' rows
	objects  []*clientObjects  // of all values, each once
	held     *heldRows         // events that are in memory, which no table is asked for; nil for none
	maxBytes int64             // of values, objects and held
	last     int               // index in products of the last row
}

// clientsOf returns the group of one product with one file.
func clientsOf(product int64, v *clientValues) *clientGroup {
	return &clientGroup{
		products: []int64{product}, values: [][]*clientValues{{v}}, objects: []*clientObjects{v.objects}, maxBytes: v.maxBytes,
	}
}

// of returns the values to which row i belongs. products has the product of each row,
// unless g has a single one.
func (g *clientGroup) of(products []int64, i int) []*clientValues {
	if len(g.products) == 1 {
		return g.values[0]
	}
	if id := products[i]; g.products[g.last] != id {
		at, known := slices.BinarySearch(g.products, id)
		if !known {
			return nil
		}
		g.last = at
	}
	return g.values[g.last]
}

// columns returns those of events that are read: observationColumns and, among
// several, the product.
func (g *clientGroup) columns() []string {
	if len(g.products) == 1 {
		return observationColumns()
	}
	return append(observationColumns(), columns.ProductID)
}

// wants is columns for rollups.
func (g *clientGroup) wants() rollup.Wants {
	if len(g.products) == 1 {
		return rollup.WantProperties
	}
	return rollup.WantProperties | rollup.WantProduct
}

// all yields the values of all products.
func (g *clientGroup) all() iter.Seq[*clientValues] {
	return func(yield func(*clientValues) bool) {
		for _, values := range g.values {
			for _, v := range values {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// empty reports whether there is no client.
func (g *clientGroup) empty() bool {
	for v := range g.all() {
		if len(v.clients) > 0 {
			return false
		}
	}
	return true
}

// beginBatch begins a batch of events whose column of $client has codes values.
func (g *clientGroup) beginBatch(codes int) {
	for _, o := range g.objects {
		o.beginBatch(codes)
	}
}

// checkMemory returns errFull when the limit is exceeded.
func (g *clientGroup) checkMemory() error {
	bytes := g.held.size()
	for _, o := range g.objects {
		bytes += o.bytes
	}
	for v := range g.all() {
		bytes += v.bytes
	}
	if bytes > g.maxBytes && !g.empty() {
		return errFull
	}
	return nil
}

// seal seals the values of all products.
func (g *clientGroup) seal() error {
	for v := range g.all() {
		if err := v.seal(); err != nil {
			return err
		}
	}
	return g.checkMemory()
}

// anyClient matches all clients in list.
func anyClient(*clientValues, *rowClient) bool { return true }

// list returns the clients that match, ascending and not nil; nil if they are more
// than a filter may name. Of several products, all with one of these ids are read.
func (g *clientGroup) list(match func(*clientValues, *rowClient) bool) []int64 {
	out := []int64{}
	for v := range g.all() {
		for i := range v.clients {
			if !match(v, &v.clients[i]) {
				continue
			}
			if out = append(out, v.clients[i].id); len(out) < 4*maxListedClients {
				continue
			}
			if out = ascending(out); len(out) > maxListedClients {
				return nil
			}
		}
	}
	if out = ascending(out); len(out) > maxListedClients {
		return nil
	}
	return out
}

// ascending orders ids and drops repeated ones, in place.
func ascending(ids []int64) []int64 {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// dayRange is days that are read at once; to is not included.
type dayRange struct {
	from, to int32
	clients  []int64 // in need that have rows on these days; nil is all
}

// dayRanges returns the days of the rows. Neighbours are one range: all days of
// many clients, and days of few clients while they stay few.
func (g *clientGroup) dayRanges() []dayRange {
	var out []dayRange
	needing := g.list(func(_ *clientValues, c *rowClient) bool { return c.need != 0 })
	few := false // the last range has few clients
	days := g.days()
	for _, day := range slices.Sorted(maps.Keys(days)) {
		d := days[day]
		clients := needing
		if !d.many {
			clients = d.clients
		}
		last := len(out) - 1
		if last >= 0 && out[last].to == day && few == !d.many && (d.many || len(out[last].clients) < 4*maxDayClients) {
			out[last].to = day + 1
			if few {
				out[last].clients = ascending(slices.Concat(out[last].clients, clients))
			}
			continue
		}
		out, few = append(out, dayRange{day, day + 1, clients}), !d.many
	}
	return out
}

// days returns the days of the rows of all products, each with the clients in need as
// long as they are few.
func (g *clientGroup) days() map[int32]*dayRows {
	days := map[int32]*dayRows{}
	for v := range g.all() {
		for day, d := range v.days {
			all := days[day]
			if all == nil {
				all = &dayRows{clients: []int64{}}
				days[day] = all
			}
			if all.many = all.many || d.many; all.many {
				all.clients = nil
				continue
			}
			if all.clients = append(all.clients, v.needing(d.clients)...); len(all.clients) > 4*maxDayClients {
				all.clients = ascending(all.clients)
				all.many = len(all.clients) > 4*maxDayClients
			}
		}
	}
	return days
}

// needing returns those of clients that need something, ascending; not nil.
func (v *clientValues) needing(clients []int64) []int64 {
	out := []int64{}
	for _, id := range clients {
		if v.find(id).need != 0 {
			out = append(out, id)
		}
	}
	return ascending(out)
}
