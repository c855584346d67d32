package registry

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Decisions of an operator are settings whose key begins with one of these; what
// follows says what was decided on.
const (
	acceptedHoles = "accepted_holes." // a shard
)

// AcceptHoles records that an operator accepts that n records of a shard are missing in
// the log. It replaces an earlier number.
func AcceptHoles(ctx context.Context, r *Registry, shard int32, n int64) error {
	return putDecision(ctx, r, acceptedHoles+strconv.Itoa(int(shard)), strconv.FormatInt(n, 10))
}

// AcceptedHoles returns, by shard, how many missing records an operator has accepted.
func AcceptedHoles(ctx context.Context, r *Registry) (map[int32]int64, error) {
	texts, err := decisions(ctx, r, acceptedHoles)
	if err != nil {
		return nil, err
	}
	accepted := map[int32]int64{}
	for name, text := range texts {
		shard, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read %s%s: %w", acceptedHoles, name, err)
		}
		if accepted[int32(shard)], err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fmt.Errorf("read %s%s: %w", acceptedHoles, name, err)
		}
	}
	return accepted, nil
}

func putDecision(ctx context.Context, r *Registry, key, value string) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	if err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	return nil
}

// decisions returns the values of the settings whose key begins with prefix, by the
// rest of the key.
func decisions(ctx context.Context, r *Registry, prefix string) (map[string]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT key, value FROM settings`)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err returns the same error
	found := map[string]string{}
	for rows.Next() {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
		if name, ok := strings.CutPrefix(key, prefix); ok {
			found[name] = value
		}
	}
	return found, rows.Err()
}
