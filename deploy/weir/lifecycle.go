package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// service is one long-running part of the process. It returns when its context
// ends and it has drained, or when it cannot go on.
type service struct {
	name string
	run  func(ctx context.Context) error
}

// services is what the process runs, in the order in which it is started.
type services []service

// run starts all members and lets them run until ctx ends or one of them
// does. Then it ends them one by one, the last first, and begins with the next
// only after the one before has drained: who takes requests goes before what
// the requests need.
func (c services) run(ctx context.Context) error {
	early := make(chan struct{}, len(c)) // somebody ended without being asked
	ends := make([]func() error, 0, len(c))
	for _, m := range c {
		ends = append(ends, m.start(ctx, early))
	}
	select {
	case <-ctx.Done():
	case <-early:
	}
	var errs []error
	for _, end := range slices.Backward(ends) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// start runs m outside of ctx, whose end is the crew's business, and returns
// what ends it and waits for it.
func (m service) start(ctx context.Context, early chan<- struct{}) (end func() error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() {
		err := m.run(own)
		if err == nil && own.Err() == nil {
			err = errors.New("ended by itself")
		}
		done <- err
		early <- struct{}{}
	}()
	return func() error {
		cancel()
		if err := <-done; err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		return nil
	}
}
