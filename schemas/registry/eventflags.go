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
	HasCategory    bool // false if the event has no category; an empty category counts as one
	Category, Name string
}

// Compare orders by category, none first, then by name.
func (e EventName) Compare(o EventName) int {
	return cmp.Or(cmp.Compare(boolToInt(e.HasCategory), boolToInt(o.HasCategory)), cmp.Compare(e.Category, o.Category), cmp.Compare(e.Name, o.Name))
}

// EventFlags are the tracking flags of an event. By default both are set.
type EventFlags struct {
	Basic, Advanced bool
}

// EventFlagsUpdate changes the flags of an event. A nil flag stays as it is.
type EventFlagsUpdate struct {
	Event           EventName
	Basic, Advanced *bool
}

// EventFlags returns the events of a product for which not both flags are set.
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

// UpdateEventFlags changes the flags of events of a product in one transaction. The
// events need not exist yet. Events whose flags are both set take no room, and no
// more than most others are kept: then the error is ErrTooMany, and nothing changes.
func (r *Registry) UpdateEventFlags(ctx context.Context, product int64, updates []EventFlagsUpdate, most int) error {
	updates = slices.SortedFunc(slices.Values(updates), func(a, b EventFlagsUpdate) int { return a.Event.Compare(b.Event) })
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, u := range updates { // in a fixed order, so that two transactions cannot deadlock
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
		return keepAtMost(ctx, tx, product, most)
	})
	if err != nil {
		return fmt.Errorf("update event flags of product %d: %w", product, err)
	}
	return nil
}

// keepAtMost forgets the events of a product whose flags are both set, which is
// what events are without a row, and checks how many are left.
func keepAtMost(ctx context.Context, tx *sql.Tx, product int64, most int) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM event_flags WHERE product_id = $1 AND basic = 1 AND advanced = 1`, product); err != nil {
		return err
	}
	var kept int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM event_flags WHERE product_id = $1`, product).Scan(&kept); err != nil {
		return err
	}
	if kept > most {
		return ErrTooMany
	}
	return nil
}
