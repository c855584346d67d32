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

// ErrLogFull means that the embedded log has JanitorConfig.LogCap bytes of records
// that are not in the lake yet.
var ErrLogFull = errors.New("embedded log is full of events that are not yet in the lake")

// ErrDiskFull means that the disk has less than JanitorConfig.MinFree left.
var ErrDiskFull = errors.New("disk is nearly full")

// JanitorConfig limits the size of the embedded log.
type JanitorConfig struct {
	Topic    string        // topic whose records are deleted
	LogCap   int64         // bytes that are not in the lake yet; 0 means 512 MiB. a restart after a crash reads them into memory, and up to 16 MiB per shard besides
	MinFree  int64         // free bytes that the disk must have; 0 means 256 MiB
	Interval time.Duration // time between two runs; 0 means 2s
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

// Janitor keeps the embedded log small and reports when there is no space for
// more events.
//
// It deletes segments only below the smallest committed offset of all tables of
// the lake. Beyond that offset the log is the only copy of an event, and a table
// that is behind must still be able to read its records.
//
// It also keeps the last committed record of each shard. A partition without
// records would start again at offset 0 after a restart of the broker, and the
// next owner of a shard compares that record with the checksum in the lake to
// prove that it is the same log.
type Janitor struct {
	cfg       JanitorConfig
	dir       string
	admin     *kadm.Client
	committed func(context.Context) (map[int32]int64, error)
	log       *slog.Logger

	mu          sync.Mutex // protects the fields below
	full        error      // result of Full
	uncommitted int64      // result of UncommittedBytes
}

// JanitorDeps are the dependencies of a Janitor.
type JanitorDeps struct {
	Dir       string                                         // folder of the log: Parts.LogDir
	Admin     *kadm.Client                                   // client of the broker
	Committed func(context.Context) (map[int32]int64, error) // returns, per shard, the smallest next offset of all tables
	Log       *slog.Logger
}

// NewJanitor returns a janitor. Full returns nil until the first Clean.
func NewJanitor(cfg JanitorConfig, deps JanitorDeps) *Janitor {
	return &Janitor{
		cfg: cfg.withDefaults(), dir: deps.Dir, admin: deps.Admin,
		committed: deps.Committed, log: deps.Log,
	}
}

// Full returns why no more events may be accepted, or nil.
func (j *Janitor) Full() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.full
}

// UncommittedBytes returns how many bytes of the log are not in the lake yet.
func (j *Janitor) UncommittedBytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.uncommitted
}

// Run calls Clean every Interval until ctx ends. Errors are logged and do not end
// it.
func (j *Janitor) Run(ctx context.Context) error {
	tick := time.NewTicker(j.cfg.Interval)
	defer tick.Stop()
	for {
		if err := j.Clean(ctx); err != nil && ctx.Err() == nil {
			j.log.WarnContext(ctx, "trimming the embedded log failed, will retry", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Clean measures the log, updates Full, and deletes committed segments.
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
		j.log.ErrorContext(ctx, "ingest blocked, requests get 503 until the lake catches up or the disk has space", "err", full)
	case full == nil && was != nil:
		j.log.InfoContext(ctx, "ingest unblocked")
	}
	return j.deleteCommitted(ctx, shards)
}

// shardLog is the log of a shard: offsets [start, end), of which those below
// committed are in the lake.
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
			upTo = 0 // the offsets in the lake belong to another log: delete nothing of this one
		}
		shards[start.Partition] = shardLog{start.Offset, upTo, end.Offset}
	})
	return shards, nil
}

// deleteCommitted asks the broker to delete the records before the last committed
// one. The broker removes whole segments only.
//
// This cannot be undone. The offsets come from committed snapshots of the lake,
// not from memory: an offset that is merely planned may never be committed.
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

// measureLog returns the uncommitted bytes of all shards.
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

// checkSpace returns in full why no more events may be accepted, or nil.
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

// uncommittedBytes estimates the uncommitted bytes of the segments in dir, in
// proportion to offsets. The size of the folder is no measure: the active segment
// is never deleted, so many shards together could exceed the limit with nothing
// but committed records, and ingest would be blocked permanently.
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

// segment is one file of the log of a shard; base is its first offset.
type segment struct{ base, size int64 }

// segments lists the files of a shard by offset. It skips files that are deleted
// meanwhile.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the shard has no record yet
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
