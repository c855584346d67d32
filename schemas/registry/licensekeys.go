package registry

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// MaxLicenseKey bounds the length of a license key in bytes, so that it fits into an
// index of PostgreSQL.
const MaxLicenseKey = 1024

// LicenseKey is a license of a product, uploaded by its vendor or reported by a client.
type LicenseKey struct {
	Key       string
	Type      string // purchased, freeware, …; "unknown" by default
	Status    LicenseStatus
	Expiry    string // YYYY-MM-DD; "" means never
	Quota     int64  // allowed number of installations
	Collected bool   // a client reported it before anybody uploaded it
	Added     time.Time
}

// LicenseStatus holds the flags of a license.
type LicenseStatus struct {
	Activated, Blocked, Expired, Allowed bool
}

// LicenseKeyUpdate creates or changes a license key. A nil field stays as it is; a
// new key starts with type "unknown", no flags, no expiry and a quota of 1.
type LicenseKeyUpdate struct {
	Key                                  string
	Type                                 *string
	Activated, Blocked, Expired, Allowed *bool
	Expiry                               *string // YYYY-MM-DD; "" means never
	Quota                                *int64
}

// UpdateLicenseKeys creates or changes license keys of a product in one transaction,
// and returns how many are new. The keys of updates must be distinct.
func (r *Registry) UpdateLicenseKeys(ctx context.Context, product int64, updates []LicenseKeyUpdate) (inserted int, err error) {
	for _, u := range updates {
		if err := u.valid(); err != nil {
			return 0, fmt.Errorf("update license keys of product %d: %w", product, err)
		}
	}
	updates = slices.SortedFunc(slices.Values(updates), func(a, b LicenseKeyUpdate) int { return cmp.Compare(a.Key, b.Key) })
	err = r.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, u := range updates { // in a fixed order, so that two transactions cannot deadlock
			made, err := insertLicenseKey(ctx, tx, product, u.Key, false)
			if err != nil {
				return err
			}
			inserted += made
			if err := u.apply(ctx, tx, product); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("update license keys of product %d: %w", product, err)
	}
	return inserted, nil
}

// valid returns ErrInvalid with a reason if an update cannot be stored.
func (u *LicenseKeyUpdate) valid() error {
	if err := ValidLicenseKey(u.Key); err != nil {
		return err
	}
	if u.Type != nil {
		if err := validText("license type", *u.Type); err != nil || *u.Type == "" {
			return cmp.Or(err, fmt.Errorf("%w: a license type is not empty", ErrInvalid))
		}
	}
	if u.Expiry != nil && *u.Expiry != "" {
		if _, err := time.Parse(time.DateOnly, *u.Expiry); err != nil {
			return fmt.Errorf("%w: an expiry date is YYYY-MM-DD", ErrInvalid)
		}
	}
	if u.Quota != nil && *u.Quota < 0 {
		return fmt.Errorf("%w: a quota is not negative", ErrInvalid)
	}
	return nil
}

// ValidLicenseKey returns ErrInvalid with a reason if a license key cannot be stored.
func ValidLicenseKey(key string) error {
	if key == "" || len(key) > MaxLicenseKey {
		return fmt.Errorf("%w: a license key has 1 to %d bytes", ErrInvalid, MaxLicenseKey)
	}
	if !utf8.ValidString(key) || toStorableText(key) != key {
		return fmt.Errorf("%w: a license key is UTF-8 text", ErrInvalid)
	}
	return nil
}

// insertLicenseKey inserts a key with the defaults of a new one, and returns the number
// of inserted rows: 0 if the key exists.
func insertLicenseKey(ctx context.Context, tx *sql.Tx, product int64, key string, collected bool) (int, error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO license_keys (product_id, license_key, license_type,
			activated, blocked, expired, allowed, expiry_day, install_quota, collected, added)
		VALUES ($1, $2, 'unknown', 0, 0, 0, 0, '', 1, $3, $4) ON CONFLICT DO NOTHING`,
		product, key, boolToInt(collected), toMicros(currentTime()))
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// apply changes the fields of an existing key that are not nil.
func (u *LicenseKeyUpdate) apply(ctx context.Context, tx *sql.Tx, product int64) error {
	return execRequired(ctx, tx, ErrNotFound, `UPDATE license_keys SET
			license_type = COALESCE(CAST($3 AS TEXT), license_type),
			activated = COALESCE(CAST($4 AS BIGINT), activated), blocked = COALESCE(CAST($5 AS BIGINT), blocked),
			expired = COALESCE(CAST($6 AS BIGINT), expired), allowed = COALESCE(CAST($7 AS BIGINT), allowed),
			expiry_day = COALESCE(CAST($8 AS TEXT), expiry_day),
			install_quota = COALESCE(CAST($9 AS BIGINT), install_quota)
		WHERE product_id = $1 AND license_key = $2`, product, u.Key,
		u.Type, nullableBool(u.Activated), nullableBool(u.Blocked), nullableBool(u.Expired), nullableBool(u.Allowed), u.Expiry, u.Quota)
}

// CollectLicenseKeys creates keys that clients reported. It does not change existing
// keys and skips keys that cannot be stored.
func (r *Registry) CollectLicenseKeys(ctx context.Context, product int64, keys []string) error {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	for part := range slices.Chunk(keys, maxChunk) {
		err := r.inTransaction(ctx, func(tx *sql.Tx) error {
			for _, key := range part {
				if ValidLicenseKey(key) != nil {
					continue
				}
				if _, err := insertLicenseKey(ctx, tx, product, key, true); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("collect license keys of product %d: %w", product, err)
		}
	}
	return nil
}

// LicenseKeys lists at most limit license keys of a product, starting at a key,
// ordered by their bytes.
func (r *Registry) LicenseKeys(ctx context.Context, product int64, from string, limit int) ([]LicenseKey, error) {
	key := r.binaryCollation("license_key")
	all, err := queryAll(ctx, r.db, scanLicenseKey, `SELECT license_key, license_type, activated, blocked, expired, allowed,
			expiry_day, install_quota, collected, added FROM license_keys
		WHERE product_id = $1 AND `+key+` >= $2 ORDER BY `+key+` LIMIT $3`, product, toStorableText(from), limit)
	if err != nil {
		return nil, fmt.Errorf("list license keys of product %d: %w", product, err)
	}
	return all, nil
}

func scanLicenseKey(row *sql.Rows) (LicenseKey, error) {
	var k LicenseKey
	var activated, blocked, expired, allowed, collected, added int64
	err := row.Scan(&k.Key, &k.Type, &activated, &blocked, &expired, &allowed, &k.Expiry, &k.Quota, &collected, &added)
	k.Status = LicenseStatus{Activated: activated != 0, Blocked: blocked != 0, Expired: expired != 0, Allowed: allowed != 0}
	k.Collected, k.Added = collected != 0, fromMicros(added)
	return k, err
}

// binaryCollation returns an expression for a text column that compares by bytes, as
// SQLite does by default.
func (r *Registry) binaryCollation(column string) string {
	if r.dialect == "sqlite" {
		return column
	}
	return column + ` COLLATE "C"`
}
