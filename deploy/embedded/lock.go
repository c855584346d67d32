package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrLocked means that another process uses the data folder.
var ErrLocked = errors.New("data folder is in use by another weir")

// Lock locks the data folder for this process and creates it if it does not
// exist. It uses flock on a file in the folder: the kernel releases the lock when
// the process ends, also by kill -9, so no stale lock can block a restart. The
// file itself is never removed, since two processes could then lock different
// files of the same name.
//
// The lock is necessary: the broker has none, and two brokers on one folder would
// interleave their writes and destroy the log.
func Lock(dir string) (unlock func() error, err error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrLocked), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}
