package registry

import (
	"context"
	"time"
)

// Owner is a process that can own shards.
type Owner struct {
	ID   string // of one life of one process
	Addr string // host:port of its tail
}

// OwnerRow is a lease that is alive.
type OwnerRow struct {
	Shard   int32
	Epoch   int64
	ID      string
	Addr    string
	Expires time.Time // by the clock of the leases
}

// Claim gives shard to owner for ttl and returns the epoch, which is greater
// than every epoch the shard had before. ErrHeld: somebody else's lease is
// alive. An owner that claims what it holds gets a new epoch, which fences it
// from its own past.
func (r *Registry) Claim(ctx context.Context, shard int32, owner Owner, ttl time.Duration) (int64, error) {
	return 0, errStub
}

// Renew lets the lease of this epoch live for ttl from now, or returns
// ErrFenced if the shard has another epoch or was released.
func (r *Registry) Renew(ctx context.Context, shard int32, epoch int64, ttl time.Duration) error {
	return errStub
}

// Release ends the lease of this epoch; ErrFenced if it was not ours.
func (r *Registry) Release(ctx context.Context, shard int32, epoch int64) error { return errStub }

// Owners lists the leases that are alive, by shard.
func (r *Registry) Owners(ctx context.Context) ([]OwnerRow, error) { return nil, errStub }

// Heartbeat says that a processor lives, for ttl.
func (r *Registry) Heartbeat(ctx context.Context, processor string, ttl time.Duration) error {
	return errStub
}

// Leave says that a processor goes, so that others need not wait for its ttl.
func (r *Registry) Leave(ctx context.Context, processor string) error { return errStub }

// Processors lists the processors that live, in order of their names.
func (r *Registry) Processors(ctx context.Context) ([]string, error) { return nil, errStub }
