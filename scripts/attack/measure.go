package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// row is one row of the table.
type row struct {
	attack         attack
	cost           cost
	quiet, during  stats
	settled        time.Duration // from the end of the attack until all was as before; -1: not within settleLimit
	peak           int64         // resident memory of the server; bytes
	serverCPU      time.Duration
	before, behind int   // descriptors of the server
	problem        error // why the attack could not be carried out, or what it found wrong
}

// settleWindow is long enough for an answer of every use.
const settleWindow = 2 * time.Second

// quietSeconds is how long the neighbour is measured before each attack.
const quietSeconds = 5

// tolerance is how many times its quiet p99 the neighbour may wait. Answers
// faster than noticeable are never too slow: below it, p99 is the noise of the machine.
const (
	tolerance  = 3
	noticeable = 50 * time.Millisecond
)

// measure runs one attack while the neighbour works.
func measure(ctx context.Context, w *world, a attack, o options) (row, error) {
	n, err := newNeighbour(ctx, w, o.rate)
	if err != nil {
		return row{}, fmt.Errorf("the neighbour: %w", err)
	}
	working, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { n.run(working); close(done) }()
	defer func() { end(); <-done }()

	pause(ctx, time.Second) // the first requests open connections
	r := row{attack: a}
	start := time.Now()
	pause(ctx, quietSeconds*time.Second)
	if err := w.server.resetPeak(); err != nil {
		return r, err
	}
	begun, cpu := time.Now(), w.server.cpu()
	r.before = w.server.descriptors()
	r.quiet = n.between(start, begun)
	r.cost, r.problem = a.start(ctx, w.file, o)
	over := time.Now()
	r.serverCPU = w.server.cpu() - cpu
	r.settled = settle(ctx, w, n, r.quiet, over)
	r.during = n.between(begun, over)
	r.peak, _ = w.server.memory()
	r.behind = w.server.descriptors()
	return r, ctx.Err()
}

// settle waits until the server is ready and every use is answered as before for
// settleWindow, and returns when that began.
func settle(ctx context.Context, w *world, n *neighbour, quiet stats, over time.Time) time.Duration {
	for time.Since(over) < settleLimit && ctx.Err() == nil && w.server.alive() {
		pause(ctx, 100*time.Millisecond)
		from := time.Now().Add(-settleWindow)
		if from.After(over) && asBefore(quiet, n.between(from, time.Now())) && w.server.ready(ctx) {
			return from.Sub(over)
		}
	}
	return -1
}

func asBefore(quiet, now stats) bool {
	for name, q := range quiet {
		u, ok := now[name]
		if !ok || u.errors > 0 || tooSlow(q, u) {
			return false
		}
	}
	return true
}

func tooSlow(quiet, now useStats) bool { return now.p99 > max(tolerance*quiet.p99, noticeable) }

// failed reports whether the attack reached the neighbour: an error of its own, or no
// end within settleLimit. A slow answer is marked in the table and does not fail: it depends on the machine.
func (r row) failed() bool {
	if r.settled < 0 || r.problem != nil {
		return true
	}
	return r.attack.fault == "" && r.errors() > 0
}

func (r row) errors() int {
	n := 0
	for _, u := range r.during {
		n += u.errors
	}
	return n
}

// legend says how to read the table.
const legend = `Each row is one attack beside a neighbour, another account on the same server. Its cost: connections, bytes and CPU of
the attacker, and how often it got which status ("none": no answer). Then the neighbour's p99 in milliseconds during the
attack, with that of the quiet seconds before it in brackets ("!": more than three times that, and over 50 ms), and how
many of its requests failed. "as b4": how long after the attack all was as before ("never!": not within a minute).
"server": CPU of the server during the attack; "peak": its resident memory.

`

// table prints rows.
type table struct {
	out    io.Writer
	headed bool
}

func (t *table) print(r row) {
	if !t.headed {
		t.headed = true
		t.printf("%s", legend)
		t.printf("%-32s %-12s | %-44s | %-51s | %6s | %7s | %7s\n", "attack", "by", "cost to the attacker",
			"neighbour's p99 during it, ms (quiet); errors", "as b4", "server", "peak")
	}
	var uses []string
	for _, name := range slices.Sorted(maps.Keys(r.quiet)) {
		q, u := r.quiet[name], r.during[name]
		text := fmt.Sprintf("%s %d(%d)", name, u.p99.Milliseconds(), q.p99.Milliseconds())
		if tooSlow(q, u) {
			text += "!"
		}
		uses = append(uses, text)
	}
	settled := "never!"
	if r.settled >= 0 {
		settled = fmt.Sprintf("%.1fs", r.settled.Seconds())
	}
	t.printf("%-32s %-12s | %-44s | %s; %d | %6s | %6.1fs | %5dMB\n", r.attack.name, r.attack.who, r.cost.text(),
		strings.Join(uses, " "), r.errors(), settled, r.serverCPU.Seconds(), r.peak>>20)
	if r.problem != nil {
		t.printf("    %v\n", r.problem)
	}
	for _, name := range slices.Sorted(maps.Keys(r.during)) {
		if u := r.during[name]; u.errors > 0 {
			t.printf("    %s: %d of %d failed, such as: %v%s\n", name, u.errors, u.count, u.err, r.fault())
		}
	}
}

// printf prints to the table. Whoever cannot write to a terminal cannot say so there.
func (t *table) printf(format string, args ...any) { _, _ = fmt.Fprintf(t.out, format, args...) }

func (r row) fault() string {
	if r.attack.fault == "" {
		return ""
	}
	return " (" + r.attack.fault + ")"
}

func (c cost) text() string {
	parts := []string{fmt.Sprintf("%d conns %s %.1f CPU s", c.Connections, bytesText(c.Bytes), c.CPU.Seconds())}
	for _, status := range slices.Sorted(maps.Keys(c.Answers)) {
		parts = append(parts, fmt.Sprintf("%s×%d", status, c.Answers[status]))
	}
	return strings.Join(parts, " ")
}

func bytesText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
