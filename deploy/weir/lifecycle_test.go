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

// eventLog records the order of events.
type eventLog struct {
	mu    sync.Mutex
	lines []string
}

func (d *eventLog) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// worker returns a service that runs until it is stopped and then drains for a
// second.
func (d *eventLog) worker(name string) service {
	return service{name, func(ctx context.Context) error {
		<-ctx.Done()
		d.note(name + " drains")
		time.Sleep(time.Second)
		d.note(name + " ended")
		return nil
	}}
}

func TestServicesStopInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d eventLog
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, stop)
		if err := (services{d.worker("log"), d.worker("processor"), d.worker("server")}).run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []string{"server drains", "server ended", "processor drains", "processor ended", "log drains", "log ended"}
		if !slices.Equal(d.lines, want) {
			t.Errorf("order %q, want %q", d.lines, want)
		}
	})
}

func TestFailedServiceStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d eventLog
		errGone := errors.New("lake is gone")
		failing := service{"processor", func(context.Context) error {
			time.Sleep(time.Minute)
			return errGone
		}}
		silent := service{"query", func(context.Context) error {
			time.Sleep(time.Minute)
			return nil
		}}
		if err := (services{d.worker("log"), failing, d.worker("server")}).run(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("run = %v, want %v", err, errGone)
		}
		if got := len(d.lines); got != 4 {
			t.Errorf("the others did not drain: %q", d.lines)
		}
		if err := (services{silent}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "ended by itself") {
			t.Errorf("a service that returns before it is stopped: %v, want an error", err)
		}
	})
}
