package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootClock returns a clock that counts from the start of the machine, also while it
// sleeps, and that nobody sets. It returns nil if the kernel has none. It must not be
// CLOCK_MONOTONIC, which stands still in sleep, so that a night would count as a jump;
// no test can tell the two apart on a machine that never sleeps.
func bootClock() func() time.Duration {
	var at unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &at) != nil {
		return nil
	}
	return func() time.Duration {
		var at unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &at) // it worked before
		return time.Duration(at.Nano())
	}
}
