package query

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/columns"
	"weir/schemas/property"
	"weir/schemas/registry"
	"weir/schemas/rollup"
)

// installBytes bounds what counting license keys holds at once: of clients
// whose key is being found out, and of keys being counted; each about so much.
const installBytes = 64 << 20

// installs counts, for license keys from a key on, the clients whose current
// key each is. When there are more keys than budget holds it counts the first
// of them, below to.
type installs struct {
	from   string
	budget int

	of      map[string]int64
	bounded bool // keys from to on are not counted
	to      string
	bytes   int
}

// clientKey is the latest license key that a client reported, as far as is
// known.
type clientKey struct {
	said rollup.Property // Value is the key, "" when there is none
}

// over counts the clients of a product. It scans once for as many clients as budget
// holds: rows of one client stand anywhere, and only the latest counts.
func (n *installs) over(ctx context.Context, v *view, product int64) error {
	n.of = map[string]int64{}
	for first, more := int64(0), true; more; {
		part := clientRange{first: first, keys: map[int64]clientKey{}, budget: n.budget}
		for b, err := range v.clientBatches(ctx, columns.Filter{Products: []int64{product}}, rollup.WantProperties) {
			if err == nil {
				err = part.addBatch(b)
			}
			if err != nil {
				return err
			}
		}
		for _, k := range part.keys {
			n.add(k.said.Value)
		}
		first, more = part.end, part.bounded
	}
	return nil
}

func (n *installs) add(key string) {
	if key < n.from || n.bounded && key >= n.to || registry.ValidLicenseKey(key) != nil {
		return
	}
	if _, known := n.of[key]; !known {
		n.bytes += len(key) + 64
	}
	n.of[key]++
	if n.bytes <= n.budget || len(n.of) < 2 {
		return
	}
	keys := slices.Sorted(maps.Keys(n.of))
	n.to, n.bounded = keys[len(keys)/2], true
	for _, key := range keys[len(keys)/2:] {
		n.bytes -= len(key) + 64
		delete(n.of, key)
	}
}

// names are the keys that clients have.
func (n *installs) names() []string { return slices.Sorted(maps.Keys(n.of)) }

// clientRange is the clients from one on, as many as budget holds.
type clientRange struct {
	first  int64
	keys   map[int64]clientKey
	budget int

	bounded bool // clients from end on are not in
	end     int64
	bytes   int
}

func (p *clientRange) addBatch(b *rollup.ClientBatch) error {
	for i, client := range b.Client {
		if client < p.first || p.bounded && client >= p.end {
			continue
		}
		said, found, err := rollup.FindProperty(b.Properties[i], property.NameLicenseKey)
		if err != nil {
			return err
		}
		if found {
			p.add(client, said)
		}
	}
	return nil
}

func (p *clientRange) add(client int64, said rollup.Property) {
	before, known := p.keys[client]
	if known && cmp.Or(cmp.Compare(before.said.Time, said.Time), cmp.Compare(before.said.Offset, said.Offset)) >= 0 {
		return
	}
	said.Name, said.Value = property.NameLicenseKey, propertyText(said.Value)
	p.bytes += len(said.Value) - len(before.said.Value)
	if !known {
		p.bytes += 128
	}
	p.keys[client] = clientKey{said}
	if p.bytes <= p.budget || len(p.keys) < 2 {
		return
	}
	clients := slices.Sorted(maps.Keys(p.keys))
	p.end, p.bounded = clients[len(clients)/2], true
	for _, client := range clients[len(clients)/2:] {
		p.bytes -= 128 + len(p.keys[client].said.Value)
		delete(p.keys, client)
	}
}

// propertyText is the text of a client property as a rollup keeps it: "" when
// it is null, which empty and <NULL> are too. It shares no memory with value.
func propertyText(value string) string {
	v := jsontext.Value(value)
	switch v.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, v)
		if err != nil || string(text) == "<NULL>" {
			return ""
		}
		return string(text)
	case 'n':
		return ""
	default:
		return strings.Clone(value)
	}
}
