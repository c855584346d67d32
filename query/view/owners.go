package view

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"weir/schemas/registry"
	"weir/schemas/topic"
)

// ownersAge is how long a list of owners is used before it is read again.
const ownersAge = time.Second

// Owners caches which process owns which shard. It is safe for concurrent use.
type Owners struct {
	registry *registry.Registry

	mu     sync.Mutex // held while reading, so that concurrent callers read once
	rows   []registry.OwnerRow
	shards int // of the topic; 0 until it is recorded
	read   time.Time
}

// NewOwners returns an empty cache of the leases in reg.
func NewOwners(reg *registry.Registry) *Owners { return &Owners{registry: reg} }

// List returns the leases that have not expired, at most ownersAge old.
func (o *Owners) List(ctx context.Context) ([]registry.OwnerRow, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.read.IsZero() && time.Since(o.read) < ownersAge {
		return o.rows, nil
	}
	rows, err := o.registry.Owners(ctx)
	if err != nil {
		return nil, fmt.Errorf("list owners: %w", err)
	}
	o.rows, o.read = rows, time.Now()
	return rows, nil
}

// Invalidate makes the next List read the registry.
func (o *Owners) Invalidate() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read = time.Time{}
}

// ShardCount returns the number of shards, and 0 until the topic is recorded.
// The number never changes once it is recorded.
func (o *Owners) ShardCount(ctx context.Context) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shards > 0 {
		return o.shards, nil
	}
	text, err := o.registry.TopicLayout(ctx)
	if err != nil || text == "" {
		return 0, err
	}
	var layout topic.Layout
	if err := json.Unmarshal([]byte(text), &layout); err != nil {
		return 0, fmt.Errorf("read topic layout: %w", err)
	}
	o.shards = layout.Shards
	return o.shards, nil
}
