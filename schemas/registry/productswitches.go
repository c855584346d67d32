package registry

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
)

// The stored values of a switch. One without a row is at its default.
const (
	switchOff = "off"
	switchOn  = "on"
)

// These precede the product's id in the key of its switch in the table settings.
// Switches are rows there and no columns of products, because a database that was
// migrated can no longer be opened by the version before.
const (
	rawExportKey = "raw_export."
	euidAsRefKey = "euid_as_ref."
)

// ProductChange says what SetProduct changes; nil leaves a switch as it is.
type ProductChange struct {
	RawExport *bool // daily files of all events are built and given out; on by default
	EUIDAsRef *bool // refId and customerId of the User Events API may be an EUID; off by default
}

// SetProduct changes an active product and returns it as it is then, or
// ErrNotFound.
func SetProduct(ctx context.Context, r *Registry, id int64, change ProductChange) (Product, error) {
	if _, err := r.Product(ctx, id); err != nil {
		return Product{}, err
	}
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := setSwitch(ctx, tx, rawExportKey, id, change.RawExport, switchOff); err != nil {
			return err
		}
		return setSwitch(ctx, tx, euidAsRefKey, id, change.EUIDAsRef, switchOn)
	})
	if err != nil {
		return Product{}, fmt.Errorf("set product %d: %w", id, err)
	}
	return r.Product(ctx, id)
}

// setSwitch stores a switch that is at other, and deletes the row of one that is at
// its default.
func setSwitch(ctx context.Context, tx *sql.Tx, key string, product int64, on *bool, other string) error {
	if on == nil {
		return nil
	}
	key += strconv.FormatInt(product, 10)
	if *on != (other == switchOn) {
		_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE key = $1`, key)
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, other)
	return err
}

// ProductsWithEUIDAsRef returns those of products whose switch EUIDAsRef is on.
func ProductsWithEUIDAsRef(ctx context.Context, r *Registry, products []int64) ([]int64, error) {
	on, err := queryAll(ctx, r.db, func(row *sql.Rows) (string, error) {
		var key string
		return key, row.Scan(&key)
	}, `SELECT key FROM settings WHERE key LIKE $1 AND value = $2`, euidAsRefKey+"%", switchOn)
	if err != nil {
		return nil, fmt.Errorf("read switch of %d products: %w", len(products), err)
	}
	keys := make(map[string]bool, len(on))
	for _, key := range on {
		keys[key] = true
	}
	var found []int64
	for _, id := range products {
		if keys[euidAsRefKey+strconv.FormatInt(id, 10)] {
			found = append(found, id)
		}
	}
	return found, nil
}
