package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	LogCap   int64         // bytes that wait for the lake; 0 means 512 MiB. A restart after a crash reads the log into memory: this much, and up to 16 MiB more for each shard
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

	mu          sync.Mutex // guards what follows
	full        error      // what Full says
	uncommitted int64      // what Waiting says
}

// JanitorDeps are what a Janitor works with.
type JanitorDeps struct {
	Dir       string                                         // of the log: Parts.LogDir
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

// UncommittedBytes says how many bytes of the log are not yet in the lake.
func (j *Janitor) UncommittedBytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.uncommitted
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
	shards, err := j.readShards(ctx)
	if err != nil {
		return err
	}
	waiting, err := j.measureLog(shards)
	if err != nil {
		return err
	}
	full, err := j.checkSpace(waiting)
	if err != nil {
		return err
	}
	j.mu.Lock()
	was := j.full
	j.full, j.uncommitted = full, waiting
	j.mu.Unlock()
	switch {
	case full != nil && was == nil:
		j.log.ErrorContext(ctx, "no room for more events", "err", full)
	case full == nil && was != nil:
		j.log.InfoContext(ctx, "room for events again")
	}
	return j.deleteCommitted(ctx, shards)
}

// shardLog is a shard's log: [start, end), of which the lake has what lies before
// committed.
type shardLog struct{ start, committed, end int64 }

func (j *Janitor) readShards(ctx context.Context) (map[int32]shardLog, error) {
	committed, err := j.committed(ctx)
	if err != nil {
		return nil, fmt.Errorf("read committed offsets: %w", err)
	}
	starts, err := j.admin.ListStartOffsets(ctx, j.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("read start offsets of %s: %w", j.cfg.Topic, err)
	}
	ends, err := j.admin.ListEndOffsets(ctx, j.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("read end offsets of %s: %w", j.cfg.Topic, err)
	}
	shards := make(map[int32]shardLog)
	starts.Each(func(start kadm.ListedOffset) {
		end, ok := ends.Lookup(start.Topic, start.Partition)
		if !ok || start.Err != nil || end.Err != nil {
			return
		}
		upTo := committed[start.Partition]
		if upTo > end.Offset {
			upTo = 0 // the lake was filled from another log: nothing of this one may go
		}
		shards[start.Partition] = shardLog{start.Offset, upTo, end.Offset}
	})
	return shards, nil
}

// deleteCommitted deletes up to the last committed record. Only whole files go.
func (j *Janitor) deleteCommitted(ctx context.Context, shards map[int32]shardLog) error {
	upTo := make(kadm.Offsets)
	for shard, s := range shards {
		if to := s.committed - 1; to > s.start {
			upTo.AddOffset(j.cfg.Topic, shard, to, -1)
		}
	}
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

// measureLog adds up what is not committed of all shards.
func (j *Janitor) measureLog(shards map[int32]shardLog) (waiting int64, err error) {
	for shard, s := range shards {
		n, err := s.uncommittedBytes(filepath.Join(j.dir, "partitions", fmt.Sprintf("%s-%d", j.cfg.Topic, shard)))
		if err != nil {
			return 0, fmt.Errorf("measure shard %d: %w", shard, err)
		}
		waiting += n
	}
	return waiting, nil
}

// checkSpace tells why nothing more should be taken, or nil.
func (j *Janitor) checkSpace(waiting int64) (full error, err error) {
	if waiting >= j.cfg.LogCap {
		return fmt.Errorf("%w: %d of %d bytes", ErrLogFull, waiting, j.cfg.LogCap), nil
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(j.dir, &disk); err != nil {
		return nil, fmt.Errorf("measure the disk of %s: %w", j.dir, err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < j.cfg.MinFree {
		return fmt.Errorf("%w: %d bytes left, want %d", ErrDiskFull, free, j.cfg.MinFree), nil
	}
	return nil, nil
}

// uncommittedBytes is how many bytes of the files in dir are not committed. The size of
// the folder would not do: the file that is being written stays, however much
// of it is committed, and many shards could be full for ever of nothing.
func (s shardLog) uncommittedBytes(dir string) (int64, error) {
	files, err := segments(dir)
	if err != nil {
		return 0, err
	}
	var sum int64
	for i, f := range files {
		to := s.end
		if i+1 < len(files) {
			to = files[i+1].base
		}
		if left := to - max(f.base, s.committed); left > 0 {
			sum += int64(float64(f.size) * float64(left) / float64(to-f.base))
		}
	}
	return sum, nil
}

// segment is one file of a shard's log.
type segment struct{ base, size int64 }

// segments lists the files of a shard in order. Those that go while it looks
// count nothing.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was ever written to the shard
	}
	if err != nil {
		return nil, err
	}
	var files []segment
	for _, e := range entries {
		name, isLog := strings.CutSuffix(e.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if !isLog || err != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, segment{base, info.Size()})
	}
	slices.SortFunc(files, func(a, b segment) int { return cmp.Compare(a.base, b.base) })
	return files, nil
}
