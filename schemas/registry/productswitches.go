package registry

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
)

// switchOff is the stored value of a switch that is off. A switch without a row is
// on.
const switchOff = "off"

// rawExportKey precedes the product's id in the key of its switch in the table
// settings. Switches are rows there and no columns of products, because a database
// that was migrated can no longer be opened by the version before.
const rawExportKey = "raw_export."

// ProductChange says what SetProduct changes; nil leaves a switch as it is.
type ProductChange struct {
	RawExport *bool // daily files of all events are built and given out
}

// SetProduct changes an active product and returns it as it is then, or
// ErrNotFound.
func SetProduct(ctx context.Context, r *Registry, id int64, change ProductChange) (Product, error) {
	if _, err := r.Product(ctx, id); err != nil {
		return Product{}, err
	}
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		return setSwitch(ctx, tx, rawExportKey, id, change.RawExport)
	})
	if err != nil {
		return Product{}, fmt.Errorf("set product %d: %w", id, err)
	}
	return r.Product(ctx, id)
}

// setSwitch stores a switch that is off and deletes the row of one that is on.
func setSwitch(ctx context.Context, tx *sql.Tx, key string, product int64, on *bool) error {
	if on == nil {
		return nil
	}
	key += strconv.FormatInt(product, 10)
	if *on {
		_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE key = $1`, key)
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, switchOff)
	return err
}
