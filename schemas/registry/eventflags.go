package registry

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// EventName names an event of a product.
type EventName struct {
	HasCategory    bool // false: none, which is not the empty one
	Category, Name string
}

// Compare orders by category, none first, and name.
func (e EventName) Compare(o EventName) int {
	return cmp.Or(cmp.Compare(boolToInt(e.HasCategory), boolToInt(o.HasCategory)), cmp.Compare(e.Category, o.Category), cmp.Compare(e.Name, o.Name))
}

// EventFlags say how an event is collected. Until its product's owner says
// otherwise an event is both.
type EventFlags struct {
	Basic, Advanced bool
}

// EventFlagsUpdate changes the flags of an event. What is nil stays as it was.
type EventFlagsUpdate struct {
	Event           EventName
	Basic, Advanced *bool
}

// EventFlags returns the flags of the events of a product that are not both.
func (r *Registry) EventFlags(ctx context.Context, product int64) (map[EventName]EventFlags, error) {
	flags := map[EventName]EventFlags{}
	_, err := queryAll(ctx, r.db, func(row *sql.Rows) (struct{}, error) {
		var e EventName
		var hasCategory, basic, advanced int64
		err := row.Scan(&hasCategory, &e.Category, &e.Name, &basic, &advanced)
		e.HasCategory = hasCategory != 0
		flags[e] = EventFlags{Basic: basic != 0, Advanced: advanced != 0}
		return struct{}{}, err
	}, `SELECT has_category, category, name, basic, advanced FROM event_flags
		WHERE product_id = $1 AND (basic = 0 OR advanced = 0)`, product)
	if err != nil {
		return nil, fmt.Errorf("read event flags of product %d: %w", product, err)
	}
	return flags, nil
}

// UpdateEventFlags changes the flags of events of a product, all or none. The
// events need not have been seen.
func (r *Registry) UpdateEventFlags(ctx context.Context, product int64, updates []EventFlagsUpdate) error {
	updates = slices.SortedFunc(slices.Values(updates), func(a, b EventFlagsUpdate) int { return a.Event.Compare(b.Event) })
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, u := range updates { // in one order, so that two batches never wait for each other's rows
			_, err := tx.ExecContext(ctx, `INSERT INTO event_flags (product_id, has_category, category, name, basic, advanced)
				VALUES ($1, $2, $3, $4, COALESCE(CAST($5 AS BIGINT), 1), COALESCE(CAST($6 AS BIGINT), 1))
				ON CONFLICT (product_id, has_category, category, name) DO UPDATE SET
					basic = COALESCE(CAST($5 AS BIGINT), event_flags.basic),
					advanced = COALESCE(CAST($6 AS BIGINT), event_flags.advanced)`,
				product, boolToInt(u.Event.HasCategory), u.Event.Category, u.Event.Name, nullableBool(u.Basic), nullableBool(u.Advanced))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("update event flags of product %d: %w", product, err)
	}
	return nil
}
