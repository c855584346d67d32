package ingest

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"weir/schemas"
	"weir/schemas/registry"
)

// nextClients remembers for each product how far the registry has given out
// EUIDs. That only grows, so what lies below a remembered number never has to
// be asked again; what lies above always has: somebody may have registered it
// a moment ago, at another process.
type nextClients struct {
	mu sync.RWMutex
	of map[int64]int64 // by product
}

func (n *nextClients) known(product int64) int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.of[product]
}

func (n *nextClients) learn(product, next int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[int64]int64{}
	}
	n.of[product] = max(n.of[product], next)
}

// givenOut refuses events of clients that the registry has yet to give out:
// whoever registers next would find them to be its own.
func (s *Service) givenOut(ctx context.Context, product int64, events []schemas.Event) error {
	next := s.next.known(product)
	if len(notGivenOut(events, next)) == 0 {
		return nil
	}
	next, err := s.deps.Registry.NextClient(ctx, product)
	if err != nil {
		return s.unavailable(ctx, err)
	}
	s.next.learn(product, next)
	bad := notGivenOut(events, next)
	if len(bad) == 0 {
		return nil
	}
	return &schemas.RequestError{
		Status: http.StatusBadRequest, Code: codeBadItems, Items: bad,
		Detail: fmt.Sprintf("data[%d].euid %s", bad[0].Index, bad[0].Reason),
	}
}

// notGivenOut names up to maxItemErrors events of clients from next on.
func notGivenOut(events []schemas.Event, next int64) []schemas.ItemError {
	var bad []schemas.ItemError
	for i := range events {
		if c := events[i].Client; c < next || !registry.Allocated(c) || len(bad) == maxItemErrors {
			continue
		}
		bad = append(bad, schemas.ItemError{Index: i, Field: "euid", Reason: "has not been given out: register an identity to get one"})
	}
	return bad
}
