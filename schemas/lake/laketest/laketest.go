// Package laketest is the lake in memory, for tests: an object store and a catalog
// in which every step can fail with and without taking effect, and a Check that
// compares the tables with the log that they were made from.
//
// Its tests also hold the simulation of the commit protocol (sim_*_test.go), which
// runs lake.Advance, the decision of the product, against thousands of seeded
// interleavings and must find every planted mistake.
package laketest

import (
	"context"
	"flag"
	"testing"

	"weir/schemas/lake"
)

// Bucket is the bucket of every Backend.
const Bucket = "weir"

// Backend holds what outlives the processes of a test: the objects, the catalog, and
// the faults of both.
type Backend struct {
	Store    *Store
	Pointers *Pointers
	Faults   *Faults
}

// New returns an empty Backend without faults.
func New() *Backend {
	f := &Faults{}
	return &Backend{Store: NewStore(f), Pointers: NewPointers(f), Faults: f}
}

// Open returns a Lake on b with caches and locks of its own, as another process
// would have. cfg needs no bucket. Unless cfg has an allocator, memory is that of
// OverwriteFreed, except in benchmarks. Its tables have runs.
func (b *Backend) Open(ctx context.Context, cfg lake.Config) (*lake.Lake, error) {
	l, err := b.OpenBeforeRuns(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return l, lake.EvolveLayout(ctx, l)
}

// OpenBeforeRuns is Open of a process that may not write runs yet.
func (b *Backend) OpenBeforeRuns(ctx context.Context, cfg lake.Config) (*lake.Lake, error) {
	cfg.Bucket = Bucket
	if bench := flag.Lookup("test.bench"); cfg.Memory == nil && (bench == nil || bench.Value.String() == "") {
		cfg.Memory = OverwriteFreed
	}
	return lake.Open(ctx, cfg, lake.NewCatalog(b.Pointers, b.Store), b.Store)
}

// Lake returns a Lake on a Backend of its own, without faults.
func Lake(t testing.TB, cfg lake.Config) *lake.Lake {
	t.Helper()
	l, err := New().Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Repetitions returns how often a test should run what it repeats n times with other
// seeds: n / RepeatDivisor times, and at least once.
func Repetitions(n int) int { return (n + RepeatDivisor - 1) / RepeatDivisor }
