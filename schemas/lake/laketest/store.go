package laketest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"weir/schemas/columns"
)

// Store is an object store in memory.
type Store struct {
	faults *Faults

	mu      sync.Mutex // guards what follows
	objects map[string]object
}

type object struct {
	body     []byte
	modified time.Time
}

// NewStore returns an empty store whose puts fail as faults decides.
func NewStore(faults *Faults) *Store {
	return &Store{faults: faults, objects: map[string]object{}}
}

// Put keeps a copy of body. It never overwrites an object, since the lake never does.
func (s *Store) Put(ctx context.Context, key string, body []byte) error {
	if err := ctxErr(ctx); err != nil {
		return err
	}
	return s.faults.do(stepForKey(key), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.objects[key]; ok {
			return fmt.Errorf("put %s: %w", key, fs.ErrExist)
		}
		s.objects[key] = object{body: bytes.Clone(body), modified: time.Now()}
		return nil
	})
}

// Get returns a copy of an object.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctxErr(ctx); err != nil {
		return nil, err
	}
	o, err := s.find(key)
	return bytes.Clone(o.body), err
}

// GetRange returns n bytes of an object from off on, fewer at its end.
func (s *Store) GetRange(ctx context.Context, key string, off, n int64) ([]byte, error) {
	if err := ctxErr(ctx); err != nil {
		return nil, err
	}
	o, err := s.find(key)
	size := int64(len(o.body))
	return bytes.Clone(o.body[min(off, size):min(off+n, size)]), err
}

// Stat returns the size of an object.
func (s *Store) Stat(ctx context.Context, key string) (int64, error) {
	if err := ctxErr(ctx); err != nil {
		return 0, err
	}
	o, err := s.find(key)
	return int64(len(o.body)), err
}

// Delete removes objects; a missing one is no error.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	if err := ctxErr(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		delete(s.objects, key)
	}
	return nil
}

// List yields the objects under prefix in the order of their keys, as of the start
// of the listing.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[columns.Object, error] {
	return func(yield func(columns.Object, error) bool) {
		s.mu.Lock()
		objects := maps.Clone(s.objects)
		s.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			if err := ctxErr(ctx); err != nil {
				yield(columns.Object{}, err)
				return
			}
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			o := objects[key]
			if !yield(columns.Object{Key: key, Size: int64(len(o.body)), Modified: o.modified}, nil) {
				return
			}
		}
	}
}

func (s *Store) find(key string) (object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	if !ok {
		return o, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return o, nil
}

// Pointers is a catalog in memory: by table, the location of its metadata.
type Pointers struct {
	faults *Faults

	mu        sync.Mutex // guards what follows
	locations map[string]string
}

// NewPointers returns a catalog without tables, whose swaps fail as faults decides.
func NewPointers(faults *Faults) *Pointers {
	return &Pointers{faults: faults, locations: map[string]string{}}
}

// Prepare does nothing.
func (*Pointers) Prepare(ctx context.Context) error { return ctxErr(ctx) }

// Location returns the location of a table's metadata, "" if there is no table.
func (p *Pointers) Location(ctx context.Context, name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.locations[name], ctxErr(ctx)
}

// Insert adds a table.
func (p *Pointers) Insert(ctx context.Context, name, location string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.locations[name] != "" {
		return fmt.Errorf("%w: %s", catalog.ErrTableAlreadyExists, name)
	}
	p.locations[name] = location
	return ctxErr(ctx)
}

// Swap moves a table from one metadata location to the next, if it is still at from.
func (p *Pointers) Swap(ctx context.Context, name, from, to string) error {
	if err := ctxErr(ctx); err != nil {
		return err
	}
	return p.faults.do(Swap, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.locations[name] != from {
			return fmt.Errorf("%w: table %s is no longer at %s", table.ErrCommitFailed, name, from)
		}
		p.locations[name] = to
		return nil
	})
}
