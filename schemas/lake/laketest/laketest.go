// Package laketest is the lake in memory, for tests: an object store and a
// catalog whose every step can fail both ways, as lost and as applied, and a
// Check that holds the tables against the log they were made from.
package laketest

import (
	"context"
	"flag"
	"testing"

	"weir/schemas/lake"
)

// Bucket is the bucket of every World.
const Bucket = "weir"

// Backend is what outlives the processes of a test: the objects, the catalog
// and what will go wrong with them.
type Backend struct {
	Store    *Store
	Pointers *Pointers
	Faults   *Faults
}

// New is an empty world in which nothing goes wrong.
func New() *Backend {
	f := &Faults{}
	return &Backend{Store: NewStore(f), Pointers: NewPointers(f), Faults: f}
}

// Open starts a process on w: a Lake with caches and locks of its own. cfg
// needs no bucket. Unless it says otherwise, batches are spoiled when they are
// released, but not in benchmarks.
func (w *Backend) Open(ctx context.Context, cfg lake.Config) (*lake.Lake, error) {
	cfg.Bucket = Bucket
	if bench := flag.Lookup("test.bench"); cfg.Memory == nil && (bench == nil || bench.Value.String() == "") {
		cfg.Memory = OverwriteFreed
	}
	return lake.Open(ctx, cfg, lake.NewCatalog(w.Pointers, w.Store), w.Store)
}

// Lake is a process on a world of its own, where nothing goes wrong.
func Lake(t testing.TB, cfg lake.Config) *lake.Lake {
	t.Helper()
	l, err := New().Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Repetitions is how often a test does what it repeats n times with other numbers: n
// times, or less, as RepeatDivisor says, but once at least.
func Repetitions(n int) int { return (n + RepeatDivisor - 1) / RepeatDivisor }
