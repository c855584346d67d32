package laketest

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
)

// ErrInjected is what a step that fails on purpose returns.
var ErrInjected = errors.New("injected fault")

// Step is a point at which a commit can fail.
type Step string

// The steps of a commit, in order.
const (
	PutData     Step = "put data file"
	PutManifest Step = "put manifest"
	PutList     Step = "put manifest list"
	PutMetadata Step = "put metadata"
	Swap        Step = "catalog commit"
)

// Steps lists the steps of a commit in order.
func Steps() []Step { return []Step{PutData, PutManifest, PutList, PutMetadata, Swap} }

// Kind is how a step fails.
type Kind string

// How a step fails. Each returns ErrInjected.
const (
	None    Kind = ""
	Lost    Kind = "lost"    // nothing happened
	Applied Kind = "applied" // it happened all the same
	Late    Kind = "late"    // it happens when Faults.Deliver is called; of puts, at once
)

// Kinds lists how a step can fail.
func Kinds() []Kind { return []Kind{Lost, Applied, Late} }

// Faults decides which steps fail.
type Faults struct {
	mu     sync.Mutex        // guards what follows
	decide func(s Step) Kind // nil lets every step succeed
	late   []func()          // steps waiting to happen
}

// Set makes f decide about each step from now on; nil ends all faults. f is
// called by whoever takes the step, before it, and may do other things then.
func (fs *Faults) Set(f func(s Step) Kind) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.decide = f
}

// Once makes the next step s fail as k, and then no other.
func (fs *Faults) Once(s Step, k Kind) {
	var once sync.Once
	fs.Set(func(at Step) Kind {
		kind := None
		if at == s {
			once.Do(func() { kind = k })
		}
		return kind
	})
}

// Deliver lets all late steps happen, in the order in which they were taken.
func (fs *Faults) Deliver() {
	fs.mu.Lock()
	late := fs.late
	fs.late = nil
	fs.mu.Unlock()
	for _, apply := range late {
		apply()
	}
}

// do does apply as it was decided for step s.
func (fs *Faults) do(s Step, apply func() error) error {
	fs.mu.Lock()
	decide := fs.decide
	fs.mu.Unlock()
	kind := None
	if decide != nil {
		kind = decide(s)
	}
	if kind == Late && s == Swap {
		fs.mu.Lock()
		fs.late = append(fs.late, func() { _ = apply() })
		fs.mu.Unlock()
		return ErrInjected
	}
	switch kind {
	case Lost:
		return ErrInjected
	case Applied, Late:
		if err := apply(); err != nil {
			return err
		}
		return ErrInjected
	default:
		return apply()
	}
}

// stepForKey is the step that puts key.
func stepForKey(key string) Step {
	switch name := path.Base(key); {
	case strings.HasSuffix(name, ".metadata.json"):
		return PutMetadata
	case strings.HasPrefix(name, "snap-"):
		return PutList
	case strings.HasSuffix(name, ".avro"):
		return PutManifest
	default:
		return PutData
	}
}

// ctxErr is the error of a caller that is no longer there.
func ctxErr(ctx context.Context) error { return context.Cause(ctx) }
