package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Owner identifies a process that can own shards.
type Owner struct {
	ID   string // of one run of one process
	Addr string // host:port of its tail endpoint
}

// OwnerRow is a lease that has not expired.
type OwnerRow struct {
	Shard   int32
	Epoch   int64
	ID      string
	Addr    string
	Expires time.Time // by the clock of the registry
}

// Claim gives the lease of shard to owner for ttl and returns the epoch, which is
// greater than every earlier epoch of the shard: from now on Renew and Release of an
// earlier epoch return ErrFenced. Claim returns ErrHeld while another owner's lease
// has not expired. An owner that claims a shard it holds gets a new epoch, which
// fences off its own earlier lease. The epoch does not protect the tables; the
// offsets checked by each commit do (schemas/DESIGN.md "Taking over a shard").
func (r *Registry) Claim(ctx context.Context, shard int32, owner Owner, ttl time.Duration) (int64, error) {
	if owner.ID == "" {
		return 0, fmt.Errorf("claim shard %d: %w: the owner has no id", shard, ErrInvalid)
	}
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return 0, fmt.Errorf("claim shard %d: %w", shard, err)
	}
	var epoch int64
	err = r.db.QueryRowContext(ctx, `INSERT INTO shard_owners (shard, epoch, owner_id, addr, expires)
		VALUES ($1, 1, $2, $3, $4)
		ON CONFLICT (shard) DO UPDATE SET epoch = shard_owners.epoch + 1, owner_id = excluded.owner_id,
			addr = excluded.addr, expires = excluded.expires
		WHERE shard_owners.expires <= $5 OR shard_owners.owner_id = excluded.owner_id
		RETURNING epoch`, int64(shard), owner.ID, owner.Addr, toMicros(now.Add(ttl)), toMicros(now)).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("claim shard %d: %w", shard, ErrHeld)
	}
	if err != nil {
		return 0, fmt.Errorf("claim shard %d: %w", shard, err)
	}
	return epoch, nil
}

// Renew extends the lease of this epoch to ttl from now. It returns ErrFenced if the
// shard has another epoch or was released. It also extends an expired lease that
// nobody claimed, because no other process has worked on the shard meanwhile.
func (r *Registry) Renew(ctx context.Context, shard int32, epoch int64, ttl time.Duration) error {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return fmt.Errorf("renew shard %d: %w", shard, err)
	}
	err = execRequired(ctx, r.db, ErrFenced, `UPDATE shard_owners SET expires = $1
		WHERE shard = $2 AND epoch = $3 AND owner_id <> ''`, toMicros(now.Add(ttl)), int64(shard), epoch)
	if err != nil {
		return fmt.Errorf("renew shard %d at epoch %d: %w", shard, epoch, err)
	}
	return nil
}

// Release ends the lease of this epoch, or returns ErrFenced if the shard has another
// epoch. The row stays, so that the next epoch is greater.
func (r *Registry) Release(ctx context.Context, shard int32, epoch int64) error {
	err := execRequired(ctx, r.db, ErrFenced, `UPDATE shard_owners SET expires = 0, owner_id = '', addr = ''
		WHERE shard = $1 AND epoch = $2 AND owner_id <> ''`, int64(shard), epoch)
	if err != nil {
		return fmt.Errorf("release shard %d at epoch %d: %w", shard, epoch, err)
	}
	return nil
}

// Owners lists the leases that have not expired, by shard.
func (r *Registry) Owners(ctx context.Context) ([]OwnerRow, error) {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return nil, fmt.Errorf("list shard owners: %w", err)
	}
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (OwnerRow, error) {
		var o OwnerRow
		var expires int64
		err := row.Scan(&o.Shard, &o.Epoch, &o.ID, &o.Addr, &expires)
		o.Expires = fromMicros(expires)
		return o, err
	}, `SELECT shard, epoch, owner_id, addr, expires FROM shard_owners WHERE expires > $1 ORDER BY shard`, toMicros(now))
	if err != nil {
		return nil, fmt.Errorf("list shard owners: %w", err)
	}
	return all, nil
}
