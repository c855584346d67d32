package laketest

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
)

// ErrInjected is the error of a step that Faults lets fail.
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

// The kinds of failure. The caller gets ErrInjected in each case, and so cannot tell
// them apart: that is what makes the result of a commit unknown.
const (
	None    Kind = ""
	Lost    Kind = "lost"    // the step has no effect
	Applied Kind = "applied" // the step takes effect
	Late    Kind = "late"    // the step takes effect when Faults.Deliver is called; a put takes effect at once
)

// Kinds lists the kinds of failure.
func Kinds() []Kind { return []Kind{Lost, Applied, Late} }

// Faults decides which steps fail.
type Faults struct {
	mu     sync.Mutex        // guards what follows
	decide func(s Step) Kind // nil lets every step succeed
	late   []func()          // late steps that wait for Deliver
}

// Set makes f decide about each step from now on; nil ends all faults. f is called
// before the step, by the goroutine that takes it, and may itself use the lake.
func (fs *Faults) Set(f func(s Step) Kind) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.decide = f
}

// Once makes the next step s fail as k, and no other step.
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

// Deliver lets all late steps take effect, in the order in which they were taken.
func (fs *Faults) Deliver() {
	fs.mu.Lock()
	late := fs.late
	fs.late = nil
	fs.mu.Unlock()
	for _, apply := range late {
		apply()
	}
}

// do calls apply, now, later or not at all, as decided for step s.
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

// stepForKey returns the step that puts key.
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

// ctxErr returns the cause for which ctx has ended, or nil.
func ctxErr(ctx context.Context) error { return context.Cause(ctx) }
