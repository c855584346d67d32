package dedupe

import (
	"errors"
	"slices"
	"sync/atomic"
)

// mergeWidth is how many files of one level become one. A fingerprint is then
// rewritten once for each level, and a lookup asks at most three files a level.
const mergeWidth = 4

// filesToMerge returns the range of files to merge next: the newest ones that
// share a level and are enough. Levels never fall from one file to the next.
func filesToMerge(files []*fingerprintFile) (from, to int) {
	for from = 0; from < len(files); from = to {
		for to = from; to < len(files) && files[to].level == files[from].level; to++ {
		}
		if to-from >= mergeWidth {
			return from, to
		}
	}
	return 0, 0
}

// merge makes one file of several in a goroutine of its own. The shard goes on
// looking things up in the inputs meanwhile: files are immutable, and stay open
// until the merged file has taken their place.
type merge struct {
	inputs  []*fingerprintFile
	stopped atomic.Bool
	done    chan struct{}    // closed when merged and err are set
	merged  *fingerprintFile // owned by the caller of wait
	err     error
}

var errMergeStopped = errors.New("merge stopped")

// startMerge begins to merge inputs and leaves out what was stored at or before
// horizon. The caller must call wait.
func startMerge(dir string, inputs []*fingerprintFile, horizon int64) *merge {
	m := &merge{inputs: inputs, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		m.merged, m.err = m.write(dir, horizon)
	}()
	return m
}

func (m *merge) stop() { m.stopped.Store(true) }

func (m *merge) finished() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

func (m *merge) wait() (*fingerprintFile, error) {
	<-m.done
	return m.merged, m.err
}

func (m *merge) write(dir string, horizon int64) (*fingerprintFile, error) {
	var n int64
	for _, f := range m.inputs {
		n += f.n
	}
	w, err := newFileWriter(dir, int(n))
	if err != nil {
		return nil, err
	}
	w.file.level = m.inputs[0].level + 1
	if err := m.copyTo(w, horizon); err != nil {
		return nil, errors.Join(err, w.file.close())
	}
	return w.close()
}

// copyTo writes the entries of the inputs in order, each fingerprint once and
// with its latest time. The least head is found by comparing all of them: with
// mergeWidth inputs a heap would cost more than it saves.
func (m *merge) copyTo(w *fileWriter, horizon int64) error {
	var in []*fileReader
	for _, f := range m.inputs {
		in = append(in, f.reader())
		if err := in[len(in)-1].next(); err != nil {
			return err
		}
	}
	for !m.stopped.Load() {
		in = slices.DeleteFunc(in, func(r *fileReader) bool { return !r.ok })
		if len(in) == 0 {
			return nil
		}
		least := slices.MinFunc(in, func(a, b *fileReader) int { return a.head.compare(b.head.fingerprint) }).head
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
