package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const topicLayout = "topic_layout"

// Setting returns what key was set to, or ErrNotFound.
func (r *Registry) Setting(ctx context.Context, key string) (string, error) {
	var value string
	err := r.db.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = $1`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("setting %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("read setting %s: %w", key, err)
	}
	return value, nil
}

// SettingOnce sets key unless it is set, and returns what stands: of many
// writers the first wins and all hear its value.
func (r *Registry) SettingOnce(ctx context.Context, key, value string) (string, error) {
	_, err := r.db.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, value)
	if err != nil {
		return "", fmt.Errorf("set %s: %w", key, err)
	}
	return r.Setting(ctx, key)
}

// TopicLayout returns the recorded layout of the events topic, "" if none is.
func (r *Registry) TopicLayout(ctx context.Context) (string, error) {
	layout, err := r.Setting(ctx, topicLayout)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return layout, err
}

// PutTopicLayout records the layout of the events topic unless one is
// recorded, and returns what stands.
func (r *Registry) PutTopicLayout(ctx context.Context, layout string) (string, error) {
	return r.SettingOnce(ctx, topicLayout, layout)
}

// Lock gives name to owner for ttl, or ErrHeld. An owner that locks again
// lets its lock live on.
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

// Unlock ends owner's lock on name; a lock that is not its own stays.
func (r *Registry) Unlock(ctx context.Context, name, owner string) error {
	if _, err := r.db.ExecContext(ctx, `DELETE FROM locks WHERE name = $1 AND owner = $2`, name, owner); err != nil {
		return fmt.Errorf("unlock %s: %w", name, err)
	}
	return nil
}
