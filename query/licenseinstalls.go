package query

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/property"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/values"
)

// installBytes bounds what counting license keys holds at once: of clients whose
// key is being looked up, and of keys being counted; each about that much.
const installBytes = 64 << 20

// installs counts, for each license key of a range, the clients whose current
// key it is. When budget cannot hold all keys from from on, it counts the first
// of them, below to.
type installs struct {
	from   string
	budget int // bytes

	counts  map[string]int64 // by key
	bounded bool             // keys from to on are not counted
	to      string
	bytes   int // of counts
}

// count counts the clients of a product. It scans once for as many clients as
// budget holds, because rows of one client come in any order, and only the
// latest counts.
func (n *installs) count(ctx context.Context, v *view.View, product int64) error {
	n.counts = map[string]int64{}
	for first, more := int64(0), true; more; {
		part := clientRange{first: first, keys: map[int64]rollup.Property{}, budget: n.budget}
		for b, err := range v.ClientBatches(ctx, columns.Filter{Products: []int64{product}}, rollup.WantProperties) {
			if err == nil {
				err = part.addBatch(b)
			}
			if err != nil {
				return err
			}
		}
		for _, k := range part.keys {
			n.add(k.Value)
		}
		first, more = part.end, part.bounded
	}
	return nil
}

// add counts a client with key. When the counts exceed the budget it drops the upper
// half of the keys, which a later range counts again.
func (n *installs) add(key string) {
	if key < n.from || n.bounded && key >= n.to || registry.ValidLicenseKey(key) != nil {
		return
	}
	if _, known := n.counts[key]; !known {
		n.bytes += len(key) + 64
	}
	n.counts[key]++
	if n.bytes <= n.budget || len(n.counts) < 2 {
		return
	}
	keys := slices.Sorted(maps.Keys(n.counts))
	n.to, n.bounded = keys[len(keys)/2], true
	for _, key := range keys[len(keys)/2:] {
		n.bytes -= len(key) + 64
		delete(n.counts, key)
	}
}

// keys are the keys that clients have, sorted.
func (n *installs) keys() []string { return slices.Sorted(maps.Keys(n.counts)) }

// clientRange has the latest license key of each client from first on, of as
// many clients as budget holds.
type clientRange struct {
	first  int64
	keys   map[int64]rollup.Property // by client; Value is the key, "" when there is none
	budget int                       // bytes

	bounded bool // clients from end on are not in
	end     int64
	bytes   int // of keys
}

// addBatch adds the rows of b. Properties of rows without a license key are not
// decoded.
func (p *clientRange) addBatch(b *rollup.ClientBatch) error {
	for i, client := range b.Client {
		if client < p.first || p.bounded && client >= p.end {
			continue
		}
		reported, found, err := rollup.FindProperty(b.Properties[i], property.NameLicenseKey)
		if err != nil {
			return err
		}
		if found {
			p.add(client, reported)
		}
	}
	return nil
}

// add keeps the latest key of a client, by event time and then by offset. When the
// keys exceed the budget it drops the upper half of the clients, which a later scan
// reads again.
func (p *clientRange) add(client int64, reported rollup.Property) {
	before, known := p.keys[client]
	if known && cmp.Or(cmp.Compare(before.Time, reported.Time), cmp.Compare(before.Offset, reported.Offset)) >= 0 {
		return
	}
	reported.Name, reported.Value = property.NameLicenseKey, propertyText(reported.Value)
	p.bytes += len(reported.Value) - len(before.Value)
	if !known {
		p.bytes += 128
	}
	p.keys[client] = reported
	if p.bytes <= p.budget || len(p.keys) < 2 {
		return
	}
	clients := slices.Sorted(maps.Keys(p.keys))
	p.end, p.bounded = clients[len(clients)/2], true
	for _, client := range clients[len(clients)/2:] {
		p.bytes -= 128 + len(p.keys[client].Value)
		delete(p.keys, client)
	}
}

// propertyText returns the text of a client property as a rollup keeps it, and ""
// for null, empty and <NULL>. It shares no memory with value.
func propertyText(value string) string {
	text, _ := values.Text(value)
	return strings.Clone(text)
}
