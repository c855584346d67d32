package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"weir/schemas"
)

// The EUIDs of a product are allocated in sequence from a range of their own. They
// have 16 digits, so that they sort the same as bytes and as numbers. They are below
// 2^53, so that every JSON parser keeps them exact. They are above numbers invented
// by hand and below the EUIDs that EngageLab assigns, so that clients that bring
// their own number do not collide with them. They are sequential rather than random
// because a counter cannot repeat, because new clients are adjacent in sorted data
// files, and because knowing an EUID gives no access.
const (
	firstEUID = 1 << 52
	endEUID   = 1 << 53
)

// Identity maps a value, such as a user id, to a client.
type Identity struct {
	Product int64
	Name    string // one of IdentityNames
	Value   string
	EUID    int64
	Created time.Time
}

// IdentityNames lists the valid names of identities: the first three are EngageLab's
// identity_name of /v1/user/register, the others Weir's own.
func IdentityNames() []string {
	return []string{"user_id", "anonymous_id", "registration_id", "ref_id", "customer_id"}
}

// RegisterIdentities returns the EUIDs of values in their order, and allocates one
// for each new value. Values may repeat. Concurrent calls return the same EUID for
// the same value.
func (r *Registry) RegisterIdentities(ctx context.Context, product int64, name string, values []string) ([]int64, error) {
	for _, v := range values {
		if err := validIdentity(name, v); err != nil {
			return nil, fmt.Errorf("register identities of product %d: %w", product, err)
		}
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(values)))
	known := make(map[string]int64, len(distinct))
	for part := range slices.Chunk(distinct, maxChunk) {
		if err := register(ctx, r, identityKey{product, name}, part, known); err != nil {
			return nil, fmt.Errorf("register identities of product %d: %w", product, err)
		}
	}
	euids := make([]int64, len(values))
	for i, v := range values {
		euids[i] = known[v]
	}
	return euids, nil
}

// identityKey is the common part of identities that one query looks up.
type identityKey struct {
	product int64
	name    string
}

// register first looks the values up, which suffices for most requests, and advances
// the product's counter only for new values.
func register(ctx context.Context, r *Registry, k identityKey, values []string, known map[string]int64) error {
	found, err := lookupIdentities(ctx, r.db, k, values)
	if err != nil {
		return err
	}
	maps.Copy(known, found)
	if len(found) == len(values) {
		return nil
	}
	return r.names.write(ctx, k.product, len(values)-len(found), func(tx *sql.Tx) error {
		found, err := allocate(ctx, tx, k, unknownValues(values, found))
		maps.Copy(known, found)
		return err
	})
}

// unknownValues returns the values that found lacks, in their order.
func unknownValues(values []string, found map[string]int64) []string {
	var rest []string
	for _, v := range values {
		if _, ok := found[v]; !ok {
			rest = append(rest, v)
		}
	}
	return rest
}

// allocate assigns an EUID to each value. Advancing the counter locks the product's
// row until the transaction ends, so allocations of one product are serialized.
// Numbers taken for values that another transaction registered meanwhile are never
// used.
func allocate(ctx context.Context, tx *sql.Tx, k identityKey, values []string) (map[string]int64, error) {
	next, err := takeEUIDs(ctx, tx, k.product, int64(len(values)))
	if err != nil {
		return nil, err
	}
	query := strings.Builder{}
	query.WriteString(`INSERT INTO identities (product_id, name, value, euid, created) VALUES `)
	args := []any{k.product, k.name, toMicros(currentTime())}
	for i, v := range values {
		if i > 0 {
			query.WriteString(", ")
		}
		fmt.Fprintf(&query, "($1, $2, $%d, $%d, $3)", len(args)+1, len(args)+2)
		args = append(args, v, next+int64(i))
	}
	query.WriteString(" ON CONFLICT DO NOTHING")
	if _, err := tx.ExecContext(ctx, query.String(), args...); err != nil {
		return nil, err
	}
	return lookupIdentities(ctx, tx, k, values)
}

// takeEUIDs reserves n consecutive EUIDs and returns the first.
func takeEUIDs(ctx context.Context, tx *sql.Tx, product, n int64) (int64, error) {
	var end int64
	err := tx.QueryRowContext(ctx, `UPDATE products SET next_client = next_client + $1
		WHERE id = $2 AND revoked = 0 RETURNING next_client`, n, product).Scan(&end)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("product %d: %w", product, ErrNotFound)
	}
	if err != nil {
		return 0, fmt.Errorf("take %d EUIDs: %w", n, err)
	}
	if end > endEUID {
		return 0, fmt.Errorf("take %d EUIDs: product %d has none left", n, product)
	}
	return end - n, nil
}

// lookupIdentities returns the EUIDs of those values that are registered.
func lookupIdentities(ctx context.Context, q querier, k identityKey, values []string) (map[string]int64, error) {
	query := strings.Builder{}
	query.WriteString(`SELECT value, euid FROM identities WHERE product_id = $1 AND name = $2 AND value IN (`)
	args := []any{k.product, k.name}
	for i, v := range values {
		if i > 0 {
			query.WriteByte(',')
		}
		query.WriteString("$" + strconv.Itoa(len(args)+1))
		args = append(args, v)
	}
	query.WriteByte(')')
	found := make(map[string]int64, len(values))
	_, err := queryAll(ctx, q, func(row *sql.Rows) (struct{}, error) {
		var value string
		var euid int64
		err := row.Scan(&value, &euid)
		found[value] = euid
		return struct{}{}, err
	}, query.String(), args...)
	if err != nil {
		return nil, fmt.Errorf("look up %d identities: %w", len(values), err)
	}
	return found, nil
}

// ResolveIdentity returns the EUID of a value, or ErrNotFound.
func (r *Registry) ResolveIdentity(ctx context.Context, product int64, name, value string) (int64, error) {
	if validIdentity(name, value) != nil {
		return 0, ErrNotFound // an invalid value cannot have been registered
	}
	found, err := lookupIdentities(ctx, r.db, identityKey{product, name}, []string{value})
	if err != nil {
		return 0, fmt.Errorf("resolve %s of product %d: %w", name, product, err)
	}
	euid, ok := found[value]
	if !ok {
		return 0, ErrNotFound
	}
	return euid, nil
}

// LinkIdentity maps id.Value to id.EUID and replaces an earlier mapping. An EUID in
// the range of allocated ones must have been allocated: otherwise it would later be
// assigned to another client.
func (r *Registry) LinkIdentity(ctx context.Context, id Identity) error {
	if err := validIdentity(id.Name, id.Value); err != nil {
		return fmt.Errorf("link identity: %w", err)
	}
	if id.EUID <= 0 {
		return fmt.Errorf("link identity: %w: an EUID is positive", ErrInvalid)
	}
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		next, err := takeEUIDs(ctx, tx, id.Product, 0)
		if err != nil {
			return err
		}
		if id.EUID >= next && id.EUID < endEUID {
			return fmt.Errorf("%w: EUID %d is not allocated yet and would later be assigned to another client", ErrInvalid, id.EUID)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO identities (product_id, name, value, euid, created)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (product_id, name, value) DO UPDATE SET euid = excluded.euid`,
			id.Product, id.Name, id.Value, id.EUID, toMicros(currentTime()))
		return err
	})
	if err != nil {
		return fmt.Errorf("link %s of product %d to %d: %w", id.Name, id.Product, id.EUID, err)
	}
	return nil
}

// UnlinkIdentity removes a mapping. Registering the value again creates a new client.
func (r *Registry) UnlinkIdentity(ctx context.Context, id Identity) error {
	err := execRequired(ctx, r.db, ErrNotFound, `DELETE FROM identities WHERE product_id = $1 AND name = $2 AND value = $3`,
		id.Product, id.Name, toStorableText(id.Value))
	if err != nil {
		return fmt.Errorf("unlink %s of product %d: %w", id.Name, id.Product, err)
	}
	return nil
}

// ListIdentities lists the identities of one client of a product, or of all its
// clients if euid is 0.
func (r *Registry) ListIdentities(ctx context.Context, product, euid int64) ([]Identity, error) {
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (Identity, error) {
		id := Identity{Product: product}
		var created int64
		err := row.Scan(&id.Name, &id.Value, &id.EUID, &created)
		id.Created = fromMicros(created)
		return id, err
	}, `SELECT name, value, euid, created FROM identities
		WHERE product_id = $1 AND (CAST($2 AS BIGINT) = 0 OR euid = $2) ORDER BY euid, name, value`, product, euid)
	if err != nil {
		return nil, fmt.Errorf("list identities of product %d: %w", product, err)
	}
	return all, nil
}

// validIdentity returns ErrInvalid with a reason unless name is one of IdentityNames and
// value can be stored.
func validIdentity(name, value string) error {
	if !slices.Contains(IdentityNames(), name) {
		return fmt.Errorf("%w: identity name %q is none of %s", ErrInvalid, name, strings.Join(IdentityNames(), ", "))
	}
	if value == "" || utf8.RuneCountInString(value) > schemas.MaxIdentityChars {
		return fmt.Errorf("%w: a value of %s has 1 to %d characters", ErrInvalid, name, schemas.MaxIdentityChars)
	}
	if toStorableText(value) != value {
		return fmt.Errorf("%w: a value of %s is not UTF-8 text", ErrInvalid, name)
	}
	return nil
}
