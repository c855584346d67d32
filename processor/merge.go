package processor

import (
	"errors"
	"slices"
	"sync/atomic"
)

// merge makes one run of several, beside the shard's own goroutine, which goes
// on reading the inputs meanwhile.
type merge struct {
	inputs  []*run
	stopped atomic.Bool
	done    chan struct{} // closed when made and err are set
	made    *run
	err     error
}

var errMergeStopped = errors.New("merge stopped")

// startMerge begins to merge inputs, without what was stored at or before
// horizon. Who starts it must wait.
func startMerge(dir string, inputs []*run, horizon int64) *merge {
	m := &merge{inputs: inputs, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		m.made, m.err = m.run(dir, horizon)
	}()
	return m
}

func (m *merge) stop() { m.stopped.Store(true) }

func (m *merge) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

func (m *merge) wait() (*run, error) {
	<-m.done
	return m.made, m.err
}

func (m *merge) run(dir string, horizon int64) (*run, error) {
	var n int64
	for _, r := range m.inputs {
		n += r.n
	}
	w, err := newRunWriter(dir, int(n))
	if err != nil {
		return nil, err
	}
	w.run.level = m.inputs[0].level + 1
	if err := m.copyTo(w, horizon); err != nil {
		return nil, errors.Join(err, w.run.close())
	}
	return w.close()
}

// copyTo writes what the inputs hold in order, each fingerprint once and with
// its latest time.
func (m *merge) copyTo(w *runWriter, horizon int64) error {
	var in []*runReader
	for _, r := range m.inputs {
		in = append(in, r.reader())
		if err := in[len(in)-1].next(); err != nil {
			return err
		}
	}
	for !m.stopped.Load() {
		in = slices.DeleteFunc(in, func(r *runReader) bool { return !r.ok })
		if len(in) == 0 {
			return nil
		}
		least := slices.MinFunc(in, func(a, b *runReader) int { return a.head.compare(b.head.fingerprint) }).head
		for _, r := range in {
			if r.head.fingerprint != least.fingerprint {
				continue
			}
			least.at = max(least.at, r.head.at)
			if err := r.next(); err != nil {
				return err
			}
		}
		if least.at > horizon {
			w.add(least)
		}
	}
	return errMergeStopped
}
