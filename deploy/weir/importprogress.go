package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	barWidth  = 24
	barEvery  = 200 * time.Millisecond // on a terminal
	lineEvery = 5 * time.Second        // elsewhere
)

// progress shows the state of an import: one line that is updated on a terminal,
// a new line every few seconds elsewhere.
type progress struct {
	to       io.Writer
	im       *importer
	total    int64 // bytes of all files; 0 means unknown
	terminal bool
	started  time.Time
	stop     chan struct{}
	stopped  chan struct{}

	mu sync.Mutex // held while writing
}

// newProgress starts to show the progress. stopAndWait must be called.
func newProgress(to io.Writer, im *importer, total int64) *progress {
	p := &progress{
		to: to, im: im, total: total, terminal: isTerminal(to), started: time.Now(),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go p.run()
	return p
}

func (p *progress) run() {
	defer close(p.stopped)
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.show()
		case <-p.stop:
			if p.terminal {
				p.show()
				p.write("\n")
			}
			return
		}
	}
}

// stopAndWait shows the final state and ends the goroutine.
func (p *progress) stopAndWait() {
	close(p.stop)
	<-p.stopped
}

func (p *progress) elapsed() time.Duration { return time.Since(p.started) }

func (p *progress) show() {
	line := p.line(p.elapsed())
	if p.terminal {
		p.write("\r\x1b[K" + line)
		return
	}
	p.write(line + "\n")
}

// note shows a line that stays.
func (p *progress) note(line string) {
	if p.terminal {
		line = "\r\x1b[K" + line
	}
	p.write(line + "\n")
}

func (p *progress) write(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.to, text) // progress is not essential
}

// line formats the state after elapsed.
func (p *progress) line(elapsed time.Duration) string {
	var b strings.Builder
	done, sent, rejected := float64(0), p.im.sent.Load(), p.im.rejected.Load()
	rows := p.im.rawRows.Load()
	if rows > 0 {
		done = min(1, float64(sent+rejected)/float64(rows))
	} else if p.total > 0 {
		done = min(1, float64(p.im.read.Load())/float64(p.total))
	}
	if p.total > 0 || rows > 0 {
		if p.terminal {
			full := int(done * barWidth)
			fmt.Fprintf(&b, "[%s%s] ", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full))
		}
		fmt.Fprintf(&b, "%3.0f%%  ", 100*done)
	}
	fmt.Fprintf(&b, "%d events  %.0f/s", sent, float64(sent)/max(elapsed.Seconds(), 0.001))
	if done > 0.01 && done < 1 {
		fmt.Fprintf(&b, "  %s left", time.Duration(float64(elapsed)*(1-done)/done).Round(time.Second))
	}
	if rejected > 0 {
		fmt.Fprintf(&b, "  %d rejected", rejected)
	}
	if n := p.im.retries.Load(); n > 0 {
		fmt.Fprintf(&b, "  %d tried again", n)
	}
	return b.String()
}
