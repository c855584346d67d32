package ingest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// slowAfter is how long the records of a batch may be with Kafka until their shards
// count as slow.
const slowAfter = time.Second

// lateShards knows the shards whose records Kafka does not acknowledge, because a
// partition has no leader or too few copies, or a broker is silent. What would go to
// them is refused, and nothing else: one partition must not cost those whose clients
// are in another one.
//
// A shard is slow while a batch has waited for longer than slowAfter for it, and late
// while the request of one has given up. Records of slow shards may take only a half
// of the places with Kafka, as long as another shard is not slow: they wait for up to
// PublishTimeout each, and would otherwise take the places of all before the first
// one is late.
type lateShards struct {
	shards    []lateShard
	slowBytes atomic.Int64 // of the batches that wait for slow shards
}

// lateShard counts the batches that have records of one shard, by how long they wait.
type lateShard struct{ slow, late atomic.Int64 }

func newLateShards(n int) *lateShards { return &lateShards{shards: make([]lateShard, n)} }

// late returns how many shards are late.
func (l *lateShards) late() (n int) {
	for i := range l.shards {
		if l.shards[i].late.Load() > 0 {
			n++
		}
	}
	return n
}

// allLate returns an error if nothing that is sent now could be acknowledged.
func (l *lateShards) allLate() error {
	if n := l.late(); n == len(l.shards) {
		return fmt.Errorf("earlier requests still wait for Kafka in all %d shards", n)
	}
	return nil
}

// othersMove reports whether there is a shard that is not slow.
func (l *lateShards) othersMove() bool {
	for i := range l.shards {
		if l.shards[i].slow.Load() <= 0 {
			return true
		}
	}
	return false
}

// admitShards refuses a batch of which some shard is late, or slow while the slow ones
// have their part of the places.
func (b *batch) admitShards(ctx context.Context) error {
	s, l, slow := b.s, b.s.lateShards, false
	for shard := range l.shards {
		if b.unackedOf[shard].Load() == 0 {
			continue
		}
		if n := l.shards[shard].late.Load(); n > 0 {
			return s.unavailable(ctx, fmt.Errorf("%d earlier requests still wait for Kafka in shard %d", n, shard))
		}
		slow = slow || l.shards[shard].slow.Load() > 0
	}
	if !slow {
		return nil
	}
	if waiting := b.waitSlowly(); waiting > s.cfg.MaxUnackedBytes/2 && l.othersMove() {
		return s.unavailable(ctx, fmt.Errorf("records of %d bytes wait for shards that Kafka is slow to acknowledge", waiting))
	}
	return nil
}

// waitSlowly counts the bytes of the batch as waiting for a slow shard until it is
// freed, and returns those of all such batches.
func (b *batch) waitSlowly() int64 {
	if b.slowBytes > 0 {
		return b.s.lateShards.slowBytes.Load()
	}
	b.slowBytes = b.size()
	return b.s.lateShards.slowBytes.Add(b.slowBytes)
}

// Marks of a batch at one of its shards, above the number of records without an onAck.
const (
	slowMark = 1 << 30
	lateMark = 1 << 31
)

// mark counts the batch at each of its shards that have not acknowledged all of it.
// Records that are acknowledged meanwhile are no mistake: whoever takes the number of
// a shard to zero, here or in acked, takes the count back.
func (b *batch) mark(as int64, of func(*lateShard) *atomic.Int64) {
	for shard := range b.unackedOf {
		if b.unackedOf[shard].Load()&(slowMark-1) == 0 {
			continue
		}
		of(&b.s.lateShards.shards[shard]).Add(1)
		if b.unackedOf[shard].Add(as)&(slowMark-1) == 0 {
			of(&b.s.lateShards.shards[shard]).Add(-1) // the last acknowledgement came before the mark
		}
	}
}

func (b *batch) markSlow() {
	b.waitSlowly()
	b.mark(slowMark, func(l *lateShard) *atomic.Int64 { return &l.slow })
}

func (b *batch) markLate() {
	b.mark(lateMark, func(l *lateShard) *atomic.Int64 { return &l.late })
}

// acked counts one record of a shard as decided.
func (b *batch) acked(shard int32) {
	left := b.unackedOf[shard].Add(-1)
	if left&(slowMark-1) != 0 {
		return
	}
	of := &b.s.lateShards.shards[shard]
	if left&slowMark != 0 {
		of.slow.Add(-1)
	}
	if left&lateMark != 0 {
		of.late.Add(-1)
	}
}
