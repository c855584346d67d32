package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// attack is one row of the table.
type attack struct {
	name string // as in --only
	who  string // who can do it: stranger, one account, local user
	what string // what they do, as a phrase
	// fault says that the neighbour cannot be served during the attack, and why,
	// such as an attack on its own login. Its errors are then printed and do not fail.
	fault string
	// run attacks until ctx ends, or until it has done what it does. It bounds its
	// connections, requests and bytes itself. An error means that the attack could
	// not be carried out, not that it was refused.
	run func(ctx context.Context, t *target) error

	together []attack // attacks to run at once, in place of run
}

// target is what an attack works with. Its methods count what the attacker spends.
type target struct {
	World world `json:"world"`
	cost  cost

	mu    sync.Mutex       // protects notes
	notes map[string]int64 // answers by status, for the table
}

// cost is what an attack cost the attacker.
type cost struct {
	Connections int64 `json:"connections"`
	Bytes       int64 `json:"bytes"` // sent
	CPU         time.Duration
	Answers     map[string]int64 `json:"answers"` // by status, or "none"
}

func (c *cost) add(o cost) {
	c.Connections, c.Bytes, c.CPU = c.Connections+o.Connections, c.Bytes+o.Bytes, c.CPU+o.CPU
	if c.Answers == nil {
		c.Answers = map[string]int64{}
	}
	for status, n := range o.Answers {
		c.Answers[status] += n
	}
}

// count notes an answer for the table.
func (t *target) count(answer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.notes == nil {
		t.notes = map[string]int64{}
	}
	t.notes[answer]++
}

func (t *target) spent() cost {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cost{Connections: atomic.LoadInt64(&t.cost.Connections), Bytes: atomic.LoadInt64(&t.cost.Bytes), Answers: maps.Clone(t.notes)}
}

// runChild runs one attack for its parent and prints its cost as JSON.
func runChild(ctx context.Context, o options, stdout io.Writer) error {
	text, err := os.ReadFile(o.world)
	if err != nil {
		return err
	}
	log.SetOutput(io.Discard) // net/http reports every connection that the server ends
	t := new(target)
	if err := json.Unmarshal(text, &t.World); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds)*time.Second)
	defer cancel()
	for _, a := range attacks() {
		if a.name != o.child {
			continue
		}
		if err := a.run(ctx, t); err != nil && ctx.Err() == nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(t.spent())
	}
	return fmt.Errorf("no attack %q", o.child)
}

// start runs the attack in processes of their own with a low priority, and
// returns its cost when they have ended.
func (a attack) start(ctx context.Context, worldFile string, o options) (cost, error) {
	all := a.together
	if all == nil {
		all = []attack{a}
	}
	var mu sync.Mutex
	var total cost
	var errs []error
	var wg sync.WaitGroup
	for _, one := range all {
		wg.Go(func() {
			c, err := one.startOne(ctx, worldFile, o)
			mu.Lock()
			defer mu.Unlock()
			total.add(c)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return total, errors.Join(errs...)
}

func (a attack) startOne(ctx context.Context, worldFile string, o options) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	// The child ends by itself; a child that hangs is killed.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds)*time.Second+settleLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "--child", a.name, "--world", worldFile, "--seconds", fmt.Sprint(o.seconds)) //nolint:gosec // this program itself
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return cost{}, err
	}
	if err := startIdle(cmd); err != nil {
		return cost{}, err
	}
	var c cost
	decodeErr := json.NewDecoder(out).Decode(&c)
	if err := cmd.Wait(); err != nil {
		return c, fmt.Errorf("%s: %w", a.name, err)
	}
	c.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return c, decodeErr
}

// startIdle starts a command with the lowest priority. A process takes it from the
// thread that starts it, and so do all its threads: to lower it afterwards would miss
// those that it has by then. The thread ends, since it cannot have its own back.
func startIdle(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) // fails nowhere; the attack would only disturb more
		started <- cmd.Start()
	}()
	return <-started
}

// workers runs n workers until all have returned.
func workers(n int, work func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
}

// repeat calls step until ctx ends, at most limit times. It waits a moment after
// an error, as a refused attacker would.
func repeat(ctx context.Context, limit int, step func() error) {
	for range limit {
		if ctx.Err() != nil {
			return
		}
		if err := step(); err != nil {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
