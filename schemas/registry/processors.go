package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// processorRetention is the time after which an expired processor is deleted.
const processorRetention = time.Hour

// Heartbeat registers a processor of this version for ttl, with the formats that it
// understands. It returns ErrNewer once a format has been adopted that it does not know.
// It also deletes processors that expired long ago, as every run of a process registers
// under a new id.
func (r *Registry) Heartbeat(ctx context.Context, processor string, ttl time.Duration) error {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return fmt.Errorf("heartbeat of %s: %w", processor, err)
	}
	err = r.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := checkFormats(ctx, tx, r.formats); err != nil {
			return err
		}
		if err := putProcessor(ctx, tx, processor, toMicros(now.Add(ttl)), r.formats); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM processors WHERE expires < $1`, toMicros(now.Add(-processorRetention)))
		return errors.Join(err, forgetFormats(ctx, tx))
	})
	if err != nil {
		return fmt.Errorf("heartbeat of %s: %w", processor, err)
	}
	return nil
}

func putProcessor(ctx context.Context, tx *sql.Tx, processor string, expires int64, understood []string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO processors (id, expires) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires`, processor, expires)
	if err != nil {
		return err
	}
	return stateFormats(ctx, tx, processor, expires, understood)
}

// DeregisterProcessor removes a processor that shuts down, so that others need not
// wait for its ttl.
func (r *Registry) DeregisterProcessor(ctx context.Context, processor string) error {
	if _, err := r.db.ExecContext(ctx, `DELETE FROM processors WHERE id = $1`, processor); err != nil {
		return fmt.Errorf("deregister processor %s: %w", processor, err)
	}
	return nil
}

// Processors lists the registered processors, ordered by id.
func (r *Registry) Processors(ctx context.Context) ([]string, error) {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return nil, fmt.Errorf("list processors: %w", err)
	}
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (string, error) {
		var id string
		return id, row.Scan(&id)
	}, `SELECT id FROM processors WHERE expires > $1 ORDER BY id`, toMicros(now))
	if err != nil {
		return nil, fmt.Errorf("list processors: %w", err)
	}
	return all, nil
}
