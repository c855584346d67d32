package query

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

// ownerList remembers for a moment who owns which shard.
type ownerList struct {
	registry *registry.Registry

	mu     sync.Mutex // held while reading, so that many questions read once
	rows   []registry.OwnerRow
	shards int // of the topic; 0 until it is recorded
	read   time.Time
}

// list returns the leases that are alive.
func (o *ownerList) list(ctx context.Context) ([]registry.OwnerRow, error) {
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

// forget makes the next list a fresh one.
func (o *ownerList) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read = time.Time{}
}

// count returns how many shards there are; 0 while no topic was ever made. The
// number never changes once it is recorded.
func (o *ownerList) count(ctx context.Context) (int, error) {
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
