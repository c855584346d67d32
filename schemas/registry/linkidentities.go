package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"weir/schemas"
)

// ClientNames are names of one client, to be linked by LinkIdentities.
type ClientNames struct {
	EUID  int64             // 0: the client that has one of the names already, or else a new one
	Names map[string]string // values by identity name
}

// Linked is the result of LinkIdentities.
type Linked struct {
	EUIDs                []int64 // of the items, in their order
	NewNames, NewClients int     // what did not exist before
}

// NameConflict is a name of one client that was to become that of another.
type NameConflict struct {
	Index       int    `json:"index"` // of the item that gives the name
	Name        string `json:"name"`
	Value       string `json:"value"`
	EUID        int64  `json:"euid"`         // the client that it names
	OtherClient int64  `json:"other_client"` // the client that it was to name
}

// ConflictError lists every name for which LinkIdentities would have had to take
// it from its client. It is an ErrExists.
type ConflictError struct{ Conflicts []NameConflict }

// Error names the first conflict without its value, which may be personal.
func (e *ConflictError) Error() string {
	c := e.Conflicts[0]
	return fmt.Sprintf("%s of item %d is a name of client %d, not of client %d (%d conflicts)", c.Name, c.Index, c.EUID, c.OtherClient, len(e.Conflicts))
}

// Unwrap returns ErrExists.
func (*ConflictError) Unwrap() error { return ErrExists }

// LinkError is an item that LinkIdentities cannot link, whatever is stored. It is
// an ErrInvalid.
type LinkError struct{ schemas.ItemError }

func (e *LinkError) Error() string { return fmt.Sprintf("item %d: %s %s", e.Index, e.Field, e.Reason) }

// Unwrap returns ErrInvalid.
func (*LinkError) Unwrap() error { return ErrInvalid }

// LinkIdentities gives clients of a product their names, all or none. Items that
// share an EUID, or a name with its value, are about one client. A name that the
// client has already stays; one of another client is a ConflictError, and nothing
// is stored. So the same call again returns the same clients.
//
// Calls that write take the lock of the product's row, as every allocation and
// link does: what is looked up under it does not change until the commit.
func (r *Registry) LinkIdentities(ctx context.Context, product int64, items []ClientNames) (Linked, error) {
	l, err := newLinking(product, items)
	if err != nil {
		return Linked{}, fmt.Errorf("link %d identities of product %d: %w", len(items), product, err)
	}
	err = l.resolve(ctx, r.db) // which suffices when all is linked already, and for a conflict
	if err == nil && len(l.missing) > 0 {
		err = r.names.write(ctx, product, len(l.missing), func(tx *sql.Tx) error { return l.write(ctx, tx) })
	}
	if err != nil {
		return Linked{}, fmt.Errorf("link %d identities of product %d: %w", len(items), product, err)
	}
	return l.result(), nil
}

// identityValue is an identity without its product.
type identityValue struct{ name, value string }

// linking is the state of one call of LinkIdentities.
type linking struct {
	product int64
	items   []ClientNames
	group   []int // of each item, the first item about the same client

	euids      map[int]int64 // of each group; 0 is a client to be made
	missing    []missingName
	newClients int
}

// missingName is a name to insert for the client of a group.
type missingName struct {
	identityValue
	group int
}

// newLinking validates the items and finds out which are about one client.
func newLinking(product int64, items []ClientNames) (*linking, error) {
	l := &linking{product: product, items: items, group: make([]int, len(items))}
	byName, byEUID := map[identityValue]int{}, map[int64]int{}
	for i, item := range items {
		l.group[i] = i
		if item.EUID < 0 {
			return nil, &LinkError{schemas.ItemError{Index: i, Field: "euid", Reason: "is not positive"}}
		}
		if first, ok := byEUID[item.EUID]; ok && item.EUID != 0 {
			l.join(i, first)
		}
		byEUID[item.EUID] = i
		for name, value := range item.Names {
			if err := validIdentity(name, value); err != nil {
				return nil, err
			}
			if first, ok := byName[identityValue{name, value}]; ok {
				l.join(i, first)
			}
			byName[identityValue{name, value}] = i
		}
	}
	return l, l.contradiction()
}

// join makes the groups of two items one, named after its first item.
func (l *linking) join(a, b int) {
	from, to := max(l.group[a], l.group[b]), min(l.group[a], l.group[b])
	for i := range l.group {
		if l.group[i] == from {
			l.group[i] = to
		}
	}
}

// contradiction returns an error if items about one client give two EUIDs.
func (l *linking) contradiction() error {
	given := map[int]int{} // item with an EUID, by group
	for i, item := range l.items {
		if item.EUID == 0 {
			continue
		}
		first, ok := given[l.group[i]]
		if ok && l.items[first].EUID != item.EUID {
			return &LinkError{schemas.ItemError{
				Index: i, Field: "euid", Reason: fmt.Sprintf("is another than that of element %d, with which it shares names", first),
			}}
		}
		given[l.group[i]] = i
	}
	return nil
}

// each calls f for every name of every item, in a fixed order.
func (l *linking) each(f func(item int, id identityValue)) {
	for i, item := range l.items {
		for _, name := range IdentityNames() {
			if value, ok := item.Names[name]; ok {
				f(i, identityValue{name, value})
			}
		}
	}
}

// resolve finds the client of each group and the names that are missing, or
// returns the conflicts.
func (l *linking) resolve(ctx context.Context, q querier) error {
	known, err := l.lookup(ctx, q)
	if err != nil {
		return err
	}
	l.euids, l.missing = map[int]int64{}, nil
	for i, item := range l.items {
		l.euids[l.group[i]] = max(l.euids[l.group[i]], item.EUID)
	}
	l.each(func(i int, id identityValue) {
		if l.euids[l.group[i]] == 0 {
			l.euids[l.group[i]] = known[id]
		}
	})
	var conflicts []NameConflict
	seen := map[identityValue]bool{}
	l.each(func(i int, id identityValue) {
		has, wants := known[id], l.euids[l.group[i]]
		switch {
		case has != 0 && has != wants:
			conflicts = append(conflicts, NameConflict{Index: i, Name: id.name, Value: id.value, EUID: has, OtherClient: wants})
		case has == 0 && !seen[id]:
			l.missing = append(l.missing, missingName{id, l.group[i]})
		}
		seen[id] = true
	})
	if len(conflicts) > 0 {
		return &ConflictError{conflicts}
	}
	return nil
}

// lookup returns the clients of those names that have one.
func (l *linking) lookup(ctx context.Context, q querier) (map[identityValue]int64, error) {
	values := map[string][]string{}
	l.each(func(_ int, id identityValue) { values[id.name] = append(values[id.name], id.value) })
	known := map[identityValue]int64{}
	for name, all := range values {
		for part := range slices.Chunk(all, maxChunk) {
			found, err := lookupIdentities(ctx, q, identityKey{l.product, name}, part)
			if err != nil {
				return nil, err
			}
			for value, euid := range found {
				known[identityValue{name, value}] = euid
			}
		}
	}
	return known, nil
}

// write locks the product, looks everything up anew, makes the new clients and
// inserts the missing names.
func (l *linking) write(ctx context.Context, tx *sql.Tx) error {
	next, err := takeEUIDs(ctx, tx, l.product, 0)
	if err != nil {
		return err
	}
	if err := l.resolve(ctx, tx); err != nil {
		return err
	}
	for i, item := range l.items {
		if item.EUID >= next && item.EUID < endEUID {
			return &LinkError{schemas.ItemError{
				Index: i, Field: "euid", Reason: "is not allocated yet and would later be assigned to another client; leave it out for a new client",
			}}
		}
	}
	if err := l.makeClients(ctx, tx); err != nil {
		return err
	}
	for part := range slices.Chunk(l.missing, maxChunk) {
		if err := l.insert(ctx, tx, part); err != nil {
			return err
		}
	}
	return nil
}

// makeClients allocates an EUID for each group that has none, in their order.
func (l *linking) makeClients(ctx context.Context, tx *sql.Tx) error {
	var without []int
	for group, euid := range l.euids {
		if euid == 0 {
			without = append(without, group)
		}
	}
	l.newClients = len(without)
	if l.newClients == 0 {
		return nil
	}
	slices.Sort(without)
	first, err := takeEUIDs(ctx, tx, l.product, int64(len(without)))
	if err != nil {
		return err
	}
	for i, group := range without {
		l.euids[group] = first + int64(i)
	}
	return nil
}

func (l *linking) insert(ctx context.Context, tx *sql.Tx, names []missingName) error {
	query := strings.Builder{}
	query.WriteString(`INSERT INTO identities (product_id, name, value, euid, created) VALUES `)
	args := []any{l.product, toMicros(currentTime())}
	for i, m := range names {
		if i > 0 {
			query.WriteString(", ")
		}
		fmt.Fprintf(&query, "($1, $%d, $%d, $%d, $2)", len(args)+1, len(args)+2, len(args)+3)
		args = append(args, m.name, m.value, l.euids[m.group])
	}
	if _, err := tx.ExecContext(ctx, query.String(), args...); err != nil {
		return fmt.Errorf("insert %d identities: %w", len(names), err)
	}
	return nil
}

func (l *linking) result() Linked {
	out := Linked{EUIDs: make([]int64, len(l.items)), NewNames: len(l.missing), NewClients: l.newClients}
	for i := range l.items {
		out.EUIDs[i] = l.euids[l.group[i]]
	}
	return out
}
