package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrQuota reports a product that has as many names of clients as it may have.
var ErrQuota = errors.New("has as many names as it may have")

const (
	nameWriters  = 2                      // connections to PostgreSQL that write names; SQLite has one
	longestRest  = 100 * time.Millisecond // of SQLite after names were written
	recountAfter = 10 * time.Minute       // other processes write names too
)

// namesLane writes names of clients over connections of its own, so that what else
// reads and writes never queues behind them. SQLite has one writer at a time and
// those that wait for it only look again from time to time: after each transaction
// the lane rests as long as that took, and so leaves half of the time to others.
type namesLane struct {
	db    *sql.DB
	turns chan struct{}
	rests bool
	until time.Time // when the rest ends; of who has the only turn
	most  int64     // names of a product; 0 is no limit

	mu     sync.Mutex
	counts map[int64]*nameCount // by product
}

// nameCount is how many names a product has, as far as this process knows.
type nameCount struct {
	mu    sync.Mutex
	names int64
	at    time.Time // when they were counted; zero before
}

func newNamesLane(db *sql.DB, conns int, rests bool) *namesLane {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return &namesLane{db: db, turns: make(chan struct{}, conns), rests: rests, counts: map[int64]*nameCount{}}
}

// write runs fn, which adds n names to a product at most, in a transaction that
// commits unless fn fails. It returns ErrQuota if the product has no room for them.
func (l *namesLane) write(ctx context.Context, product int64, n int, fn func(tx *sql.Tx) error) error {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return fmt.Errorf("wait to write names: %w", ctx.Err())
	}
	count := l.count(product)
	if err := count.room(ctx, l, product, int64(n)); err != nil {
		return err
	}
	if l.rests {
		if err := rest(ctx, time.Until(l.until)); err != nil {
			return err
		}
	}
	begun := time.Now()
	err := transact(ctx, l.db, fn)
	if l.rests {
		l.until = time.Now().Add(min(time.Since(begun), longestRest))
	}
	if err == nil {
		count.mu.Lock()
		count.names += int64(n)
		count.mu.Unlock()
	}
	return err
}

func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to write names: %w", ctx.Err())
	}
}

func (l *namesLane) count(product int64) *nameCount {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.counts[product]
	if !ok {
		c = &nameCount{}
		l.counts[product] = c
	}
	return c
}

// room returns ErrQuota unless the product may have n more names.
func (c *nameCount) room(ctx context.Context, l *namesLane, product, n int64) error {
	if l.most == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) > recountAfter {
		if err := l.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM identities WHERE product_id = $1`, product).Scan(&c.names); err != nil {
			return fmt.Errorf("count names of product %d: %w", product, err)
		}
		c.at = time.Now()
	}
	if c.names+n > l.most {
		return fmt.Errorf("%w: product %d has %d, of %d", ErrQuota, product, c.names, l.most)
	}
	return nil
}

// transact runs fn in a transaction of db, which it commits unless fn fails.
func transact(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
