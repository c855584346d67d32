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

// The EUIDs of a product are given out in sequence, from a range of their own:
// 16 digits, so that their order by bytes is their order by number; below 2^53,
// so that any JSON reader keeps them exact; above what people make up by hand
// and below the EUIDs that EngageLab hands out, so that clients who bring their
// own number do not meet ours. One after the other rather than random: a
// counter cannot give a number twice, new clients lie together in sorted data
// files, and the number itself opens nothing.
const (
	firstEUID = 1 << 52
	endEUID   = 1 << 53
)

// maxChunk bounds the values of one statement.
const maxChunk = 500

// Identity is one name by which a client is known.
type Identity struct {
	Product int64
	Name    string // one of IdentityNames
	Value   string
	EUID    int64
	Created time.Time
}

// IdentityNames lists the names an identity can have.
func IdentityNames() []string {
	return []string{"user_id", "anonymous_id", "registration_id", "ref_id", "customer_id"}
}

// RegisterIdentities returns the EUIDs of values in their order, and allocates
// one for each value that is new. Values may repeat. A value has one EUID
// whoever asks and however many ask at once.
func (r *Registry) RegisterIdentities(ctx context.Context, product int64, name string, values []string) ([]int64, error) {
	for _, v := range values {
		if err := validIdentity(name, v); err != nil {
			return nil, fmt.Errorf("register identities of product %d: %w", product, err)
		}
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(values)))
	known := make(map[string]int64, len(distinct))
	for part := range slices.Chunk(distinct, maxChunk) {
		if err := r.register(ctx, identityKey{product, name}, part, known); err != nil {
			return nil, fmt.Errorf("register identities of product %d: %w", product, err)
		}
	}
	euids := make([]int64, len(values))
	for i, v := range values {
		euids[i] = known[v]
	}
	return euids, nil
}

// identityKey is what identities have in common that are looked up together.
type identityKey struct {
	product int64
	name    string
}

// register looks first, which is all that most requests need, and takes the
// product's counter only for what is new.
func (r *Registry) register(ctx context.Context, k identityKey, values []string, known map[string]int64) error {
	found, err := lookupIdentities(ctx, r.db, k, values)
	if err != nil {
		return err
	}
	maps.Copy(known, found)
	if len(found) == len(values) {
		return nil
	}
	return r.inTransaction(ctx, func(tx *sql.Tx) error {
		found, err := allocate(ctx, tx, k, unknownValues(values, found))
		maps.Copy(known, found)
		return err
	})
}

func unknownValues(values []string, found map[string]int64) []string {
	var rest []string
	for _, v := range values {
		if _, ok := found[v]; !ok {
			rest = append(rest, v)
		}
	}
	return rest
}

// allocate gives each value an EUID. Taking the counter locks the product's
// row until the transaction ends, so those who allocate for one product do it
// one after the other; numbers of values that somebody else registered in the
// meantime are left out for ever.
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

// takeEUIDs returns the first of n EUIDs that are nobody else's.
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
		return 0, ErrNotFound // nobody can have registered it
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

// LinkIdentity makes id.Value lead to id.EUID, whatever it led to before. An
// EUID of the range we give out must have been given out.
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
			return fmt.Errorf("%w: EUID %d has not been given out, and later would be to somebody else", ErrInvalid, id.EUID)
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

// UnlinkIdentity forgets where a value leads; who registers it again is a new
// client.
func (r *Registry) UnlinkIdentity(ctx context.Context, id Identity) error {
	err := execRequired(ctx, r.db, ErrNotFound, `DELETE FROM identities WHERE product_id = $1 AND name = $2 AND value = $3`,
		id.Product, id.Name, toStorableText(id.Value))
	if err != nil {
		return fmt.Errorf("unlink %s of product %d: %w", id.Name, id.Product, err)
	}
	return nil
}

// ListIdentities lists the identities of a product, of one client or, if euid
// is 0, of all.
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

// toStorableText is text as PostgreSQL can take it; what it changes matches nothing
// that is stored.
func toStorableText(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
