package lake

import (
	"sync"
	"time"
)

// pins knows which snapshots this process reads. Their files must not be deleted:
// see OldestPinned.
type pins struct {
	mu   sync.Mutex // guards held
	held map[*Snapshot]*pin
}

// pin is one snapshot that is being read.
type pin struct {
	readers int
	since   time.Time // when the first of them came
}

// Pin says that s is being read, until the returned function is called, once. A
// snapshot may be expired as soon as another is committed, however short a time ago
// it was loaded, if nothing was committed for long before.
func (s *Snapshot) Pin() (unpin func()) {
	p := &s.lake.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.held[s]
	if at == nil {
		at = &pin{since: time.Now()}
		p.held[s] = at
	}
	at.readers++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if at.readers--; at.readers == 0 {
			delete(p.held, s)
		}
	}
}

// maxPin bounds how long a reader keeps a snapshot. A report takes seconds and a file
// minutes; what takes longer is stuck.
const maxPin = 24 * time.Hour

// OldestPinned returns when the oldest snapshot was committed that has been read for a
// while already; zero if there is none.
func OldestPinned(l *Lake, already time.Duration) (oldest time.Time) {
	l.pins.mu.Lock()
	defer l.pins.mu.Unlock()
	for s, p := range l.pins.held {
		read := time.Since(p.since)
		if s.committedAt.IsZero() || read < already || read > maxPin {
			continue // the first has no files
		}
		if oldest.IsZero() || s.committedAt.Before(oldest) {
			oldest = s.committedAt
		}
	}
	return oldest
}
