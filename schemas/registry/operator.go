package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decisions of an operator are settings whose key begins with one of these; what
// follows says what was decided on.
const (
	acceptedHoles = "accepted_holes." // a shard
	clockStops    = "clock_stop."     // a processor
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

// ClockStop is a processor that has stopped since its clock cannot be right.
type ClockStop struct {
	Processor string        `json:"processor"`
	At        time.Time     `json:"at"` // by that clock
	Ahead     time.Duration `json:"ahead"`
	Accepted  bool          `json:"accepted"` // by an operator: the clock is right
}

// ClockStops are the processors that have stopped for their clock.
type ClockStops struct{ r *Registry }

// NewClockStops returns those that r records.
func NewClockStops(r *Registry) *ClockStops { return &ClockStops{r} }

// Put records a stop.
func (c *ClockStops) Put(ctx context.Context, s ClockStop) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("record the stop of %s: %w", s.Processor, err)
	}
	return putDecision(ctx, c.r, clockStops+s.Processor, string(text))
}

// Get returns the recorded stop of a processor.
func (c *ClockStops) Get(ctx context.Context, processor string) (s ClockStop, known bool, err error) {
	text, err := c.r.Setting(ctx, clockStops+processor)
	if errors.Is(err, ErrNotFound) {
		return s, false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		return s, false, fmt.Errorf("read the stop of %s: %w", processor, err)
	}
	return s, true, nil
}

// Delete removes the stop of a processor.
func (c *ClockStops) Delete(ctx context.Context, processor string) error {
	if _, err := c.r.db.ExecContext(ctx, `DELETE FROM settings WHERE key = $1`, clockStops+processor); err != nil {
		return fmt.Errorf("delete the stop of %s: %w", processor, err)
	}
	return nil
}

// Accept records an operator's word that the clocks of all stopped processors are
// right, and returns their stops.
func (c *ClockStops) Accept(ctx context.Context) ([]ClockStop, error) {
	texts, err := decisions(ctx, c.r, clockStops)
	if err != nil {
		return nil, err
	}
	var accepted []ClockStop
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		s, known, err := c.Get(ctx, name)
		if err != nil || !known {
			return accepted, err
		}
		s.Accepted = true
		if err := c.Put(ctx, s); err != nil {
			return accepted, err
		}
		accepted = append(accepted, s)
	}
	return accepted, nil
}

// Now returns the time of the database: that of another machine only where the
// database is on one.
func Now(ctx context.Context, r *Registry) (time.Time, error) { return r.clock(ctx, r.db) }
