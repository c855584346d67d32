package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary notes who ended when.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// worker runs until it is told to end and then drains for a second.
func (d *diary) worker(name string) member {
	return member{name, func(ctx context.Context) error {
		<-ctx.Done()
		d.note(name + " drains")
		time.Sleep(time.Second)
		d.note(name + " ended")
		return nil
	}}
}

func TestCrewEndsLastFirstAndOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, stop)
		if err := (crew{d.worker("log"), d.worker("processor"), d.worker("server")}).run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []string{"server drains", "server ended", "processor drains", "processor ended", "log drains", "log ended"}
		if !slices.Equal(d.lines, want) {
			t.Errorf("order %q, want %q", d.lines, want)
		}
	})
}

func TestOneThatCannotGoOnEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		errGone := errors.New("lake is gone")
		failing := member{"processor", func(context.Context) error {
			time.Sleep(time.Minute)
			return errGone
		}}
		silent := member{"query", func(context.Context) error {
			time.Sleep(time.Minute)
			return nil
		}}
		if err := (crew{d.worker("log"), failing, d.worker("server")}).run(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("run = %v, want %v", err, errGone)
		}
		if got := len(d.lines); got != 4 {
			t.Errorf("the others did not drain: %q", d.lines)
		}
		if err := (crew{silent}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "ended by itself") {
			t.Errorf("a member that ends without being asked: %v, want an error", err)
		}
	})
}
