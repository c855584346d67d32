package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// service is one long-running part of the process. run returns after its context
// has ended and it has drained, or with an error when it cannot continue.
type service struct {
	name string
	run  func(ctx context.Context) error
}

// services are all parts of the process, in the order of their start.
type services []service

// run starts all services and waits until ctx ends or one of them returns. Then
// it stops them one by one, last first, and waits until each has drained before
// it stops the next. The order matters: the servers that accept requests stop
// before the processor that stores their events, and the processor before the
// janitor, which deletes from the log what the last cut has committed.
func (s services) run(ctx context.Context) error {
	early := make(chan struct{}, len(s)) // a service returned before it was stopped
	stops := make([]func() error, 0, len(s))
	for _, sv := range s {
		stops = append(stops, sv.start(ctx, early))
	}
	select {
	case <-ctx.Done():
	case <-early:
	}
	var errs []error
	for _, stop := range slices.Backward(stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// start runs the service on a context that does not end with ctx, since run
// decides the order of stops. The returned stop ends the service and waits for
// it.
func (sv service) start(ctx context.Context, early chan<- struct{}) (stop func() error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := sv.run(own)
		if err == nil && own.Err() == nil {
			err = errors.New("ended by itself")
		}
		done <- err
		early <- struct{}{}
	}()
	return func() error {
		cancel()
		if err := <-done; err != nil {
			return fmt.Errorf("%s: %w", sv.name, err)
		}
		return nil
	}
}
