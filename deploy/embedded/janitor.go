package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// ErrLogFull means that the embedded log has reached its size with records
// that are not yet in the lake.
var ErrLogFull = errors.New("embedded log is full of events that are not yet in the lake")

// ErrDiskFull means that the disk has less left than it should.
var ErrDiskFull = errors.New("disk is nearly full")

// JanitorConfig says how large the embedded log may grow.
type JanitorConfig struct {
	Topic    string        // whose records are deleted
	LogCap   int64         // bytes of the whole log; 0 means 512 MiB. A restart after a crash reads all of it into memory
	MinFree  int64         // bytes the disk must have left; 0 means 256 MiB
	Interval time.Duration // between two looks; 0 means 2s
}

func (c JanitorConfig) withDefaults() JanitorConfig {
	if c.LogCap <= 0 {
		c.LogCap = 512 << 20
	}
	if c.MinFree <= 0 {
		c.MinFree = 256 << 20
	}
	if c.Interval <= 0 {
		c.Interval = 2 * time.Second
	}
	return c
}

// Janitor keeps the embedded log small: it deletes the records that every
// table of the lake has, and says when there is no room for more.
//
// It keeps the last record of all and the last committed one of each shard:
// a partition without any would begin again at offset 0 after a restart, and
// who takes a shard over compares the last committed record with the lake.
type Janitor struct {
	cfg       JanitorConfig
	dir       string
	admin     *kadm.Client
	committed func(context.Context) (map[int32]int64, error)
	log       *slog.Logger

	mu   sync.Mutex // guards full
	full error      // what Full says
}

// JanitorDeps are what a Janitor works with.
type JanitorDeps struct {
	Dir       string                                         // of the log: Parts.LogAt
	Admin     *kadm.Client                                   // of the broker
	Committed func(context.Context) (map[int32]int64, error) // per shard, the smallest next offset of all tables
	Log       *slog.Logger
}

// NewJanitor makes a janitor that has looked at nothing yet.
func NewJanitor(cfg JanitorConfig, deps JanitorDeps) *Janitor {
	return &Janitor{
		cfg: cfg.withDefaults(), dir: deps.Dir, admin: deps.Admin,
		committed: deps.Committed, log: deps.Log,
	}
}

// Full says why no more events should be taken, or nil.
func (j *Janitor) Full() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.full
}

// Run cleans up every interval until ctx ends.
func (j *Janitor) Run(ctx context.Context) error {
	tick := time.NewTicker(j.cfg.Interval)
	defer tick.Stop()
	for {
		if err := j.Clean(ctx); err != nil && ctx.Err() == nil {
			j.log.WarnContext(ctx, "embedded log not cleaned", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Clean deletes what may be deleted and measures what is left.
func (j *Janitor) Clean(ctx context.Context) error {
	trimErr := j.trim(ctx)
	full, err := j.measure()
	if err != nil {
		return errors.Join(trimErr, err)
	}
	j.mu.Lock()
	was := j.full
	j.full = full
	j.mu.Unlock()
	switch {
	case full != nil && was == nil:
		j.log.ErrorContext(ctx, "no room for more events", "err", full)
	case full == nil && was != nil:
		j.log.InfoContext(ctx, "room for events again")
	}
	return trimErr
}

func (j *Janitor) trim(ctx context.Context) error {
	next, err := j.committed(ctx)
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	starts, err := j.admin.ListStartOffsets(ctx, j.cfg.Topic)
	if err != nil {
		return fmt.Errorf("read start offsets of %s: %w", j.cfg.Topic, err)
	}
	ends, err := j.admin.ListEndOffsets(ctx, j.cfg.Topic)
	if err != nil {
		return fmt.Errorf("read end offsets of %s: %w", j.cfg.Topic, err)
	}
	upTo := make(kadm.Offsets)
	starts.Each(func(start kadm.ListedOffset) {
		end, ok := ends.Lookup(start.Topic, start.Partition)
		if !ok || start.Err != nil || end.Err != nil {
			return
		}
		to := min(next[start.Partition], end.Offset) - 1
		if to > start.Offset {
			upTo.AddOffset(start.Topic, start.Partition, to, -1)
		}
	})
	if len(upTo) == 0 {
		return nil
	}
	done, err := j.admin.DeleteRecords(ctx, upTo)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("delete committed records of %s: %w", j.cfg.Topic, err)
	}
	return nil
}

// measure tells whether log or disk are full.
func (j *Janitor) measure() (full error, err error) {
	size, err := folderSize(j.dir)
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", j.dir, err)
	}
	if size >= j.cfg.LogCap {
		return fmt.Errorf("%w: %d of %d bytes", ErrLogFull, size, j.cfg.LogCap), nil
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(j.dir, &disk); err != nil {
		return nil, fmt.Errorf("measure the disk of %s: %w", j.dir, err)
	}
	if free := int64(disk.Bavail) * int64(disk.Bsize); free < j.cfg.MinFree {
		return fmt.Errorf("%w: %d bytes left, want %d", ErrDiskFull, free, j.cfg.MinFree), nil
	}
	return nil, nil
}

// folderSize adds up the files below dir. Files that go while it looks count
// nothing.
func folderSize(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		sum += info.Size()
		return nil
	})
	return sum, err
}
