package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const topicLayout = "topic_layout"

// Setting returns the value of key, or ErrNotFound.
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

// SettingOnce sets key unless it is set, and returns its value: of several concurrent
// writers the first wins, and all get its value.
func (r *Registry) SettingOnce(ctx context.Context, key, value string) (string, error) {
	_, err := r.db.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, value)
	if err != nil {
		return "", fmt.Errorf("set %s: %w", key, err)
	}
	return r.Setting(ctx, key)
}

// SecretOnce returns the secret that is kept under key, the same in all processes. The
// first call makes it.
func SecretOnce(ctx context.Context, r *Registry, key string) (string, error) {
	secret, err := r.Setting(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return r.SettingOnce(ctx, key, newSecret())
	}
	return secret, err
}

// TopicLayout returns the recorded layout of the events topic; "" if there is none.
func (r *Registry) TopicLayout(ctx context.Context) (string, error) {
	layout, err := r.Setting(ctx, topicLayout)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return layout, err
}

// PutTopicLayout records the layout of the events topic unless one is recorded, and
// returns the recorded one.
func (r *Registry) PutTopicLayout(ctx context.Context, layout string) (string, error) {
	return r.SettingOnce(ctx, topicLayout, layout)
}
