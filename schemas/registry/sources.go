package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"
)

// Source is a data source: an API key that can write events to one product.
type Source struct {
	Key           string
	Product       int64
	Account       string // of the product; only AuthenticateSource sets it
	Name          string
	RatePerSecond float64 // allowed events per second; 0 means no limit
	Created       time.Time
	Revoked       time.Time // zero while it is active
}

// sourceWithHash is a source with the hash of its secret.
type sourceWithHash struct {
	Source
	hash [sha256.Size]byte
}

// CreateSource creates a data source of s.Product and returns its secret, of which
// only a hash is stored.
func (r *Registry) CreateSource(ctx context.Context, s Source) (Source, string, error) {
	if s.RatePerSecond < 0 || math.IsNaN(s.RatePerSecond) || math.IsInf(s.RatePerSecond, 0) {
		return Source{}, "", fmt.Errorf("create source: %w: a rate is a number of events a second, 0 for no limit", ErrInvalid)
	}
	if err := validText("name", s.Name); err != nil {
		return Source{}, "", fmt.Errorf("create source: %w", err)
	}
	if _, err := r.Product(ctx, s.Product); err != nil {
		return Source{}, "", fmt.Errorf("create source: %w", err)
	}
	secret := secretPrefix + newSecret()
	s.Key, s.Created, s.Revoked = newID(sourcePrefix), currentTime(), time.Time{}
	_, err := r.db.ExecContext(ctx, `INSERT INTO sources (key, secret_hash, product_id, name, rate, created)
		VALUES ($1, $2, $3, $4, $5, $6)`, s.Key, hashSecret(secret), s.Product, s.Name, s.RatePerSecond, toMicros(s.Created))
	if err != nil {
		return Source{}, "", fmt.Errorf("create source of product %d: %w", s.Product, err)
	}
	return s, secret, nil
}

// AuthenticateSource returns the source with this key and secret, or ErrUnauthorized.
// It queries the database at most once in cacheFor for a valid key.
func (r *Registry) AuthenticateSource(ctx context.Context, key, secret string) (Source, error) {
	if !isSourceKey(key) {
		return Source{}, ErrUnauthorized
	}
	sum := sha256.Sum256([]byte(secret))
	known, err := r.source(ctx, key)
	if err != nil {
		return Source{}, err
	}
	if subtle.ConstantTimeCompare(sum[:], known.hash[:]) != 1 {
		return Source{}, ErrUnauthorized
	}
	return known.Source, nil
}

// source checks the cache before it builds the closure for loading, whose allocation
// would cost more than the whole look-up (BenchmarkAuthenticateSource).
func (r *Registry) source(ctx context.Context, key string) (sourceWithHash, error) {
	if e, ok := r.sources.peek(key); ok {
		return e.value, nil
	}
	return r.sources.get(ctx, key, func(ctx context.Context) (sourceWithHash, error) { return r.loadSource(ctx, key) })
}

// loadSource reads an active source of an active product and account.
func (r *Registry) loadSource(ctx context.Context, key string) (sourceWithHash, error) {
	s := sourceWithHash{Source: Source{Key: key}}
	var hash string
	var created int64
	err := r.db.QueryRowContext(ctx, `SELECT s.product_id, p.account_id, s.name, s.rate, s.created, s.secret_hash FROM sources s
		JOIN products p ON p.id = s.product_id JOIN accounts a ON a.id = p.account_id
		WHERE s.key = $1 AND s.revoked = 0 AND p.revoked = 0 AND a.revoked = 0`, key).
		Scan(&s.Product, &s.Account, &s.Name, &s.RatePerSecond, &created, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrUnauthorized
	}
	if err != nil {
		return s, fmt.Errorf("read source %q: %w", key, err)
	}
	s.Created = fromMicros(created)
	if n, err := hex.Decode(s.hash[:], []byte(hash)); err != nil || n != len(s.hash) {
		return s, fmt.Errorf("read source %q: its stored hash is damaged", key)
	}
	return s, nil
}

// ListSources lists the sources of product, or of all products if it is 0.
func (r *Registry) ListSources(ctx context.Context, product int64) ([]Source, error) {
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (Source, error) {
		var s Source
		var created, revoked int64
		err := row.Scan(&s.Key, &s.Product, &s.Name, &s.RatePerSecond, &created, &revoked)
		s.Created, s.Revoked = fromMicros(created), fromMicros(revoked)
		return s, err
	}, `SELECT key, product_id, name, rate, created, revoked FROM sources
		WHERE CAST($1 AS BIGINT) = 0 OR product_id = $1 ORDER BY created, key`, product)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	return all, nil
}

// RevokeSource revokes the source with this key.
func (r *Registry) RevokeSource(ctx context.Context, key string) error {
	err := execRequired(ctx, r.db, ErrNotFound, `UPDATE sources SET revoked = $1 WHERE key = $2 AND revoked = 0`,
		toMicros(currentTime()), key)
	if err != nil {
		return fmt.Errorf("revoke source %q: %w", key, err)
	}
	r.invalidateCaches()
	return nil
}
