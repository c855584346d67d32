package registry

import (
	"context"
	"fmt"
	"time"
)

// Lock takes or extends the lock name for owner until ttl from now. It returns ErrHeld
// while another owner holds it.
func (r *Registry) Lock(ctx context.Context, name, owner string, ttl time.Duration) error {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	err = execRequired(ctx, r.db, ErrHeld, `INSERT INTO locks (name, owner, expires) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires = excluded.expires
		WHERE locks.expires <= $4 OR locks.owner = excluded.owner`,
		name, owner, toMicros(now.Add(ttl)), toMicros(now))
	if err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	return nil
}

// Unlock releases owner's lock on name. It does not affect a lock of another owner.
func (r *Registry) Unlock(ctx context.Context, name, owner string) error {
	if _, err := r.db.ExecContext(ctx, `DELETE FROM locks WHERE name = $1 AND owner = $2`, name, owner); err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}
