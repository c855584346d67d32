package processor

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/topic"
)

const (
	tickEvery    = 15 * time.Second // how often shards are checked
	tickAfter    = 15 * time.Second // past midnight; records that are under way then make the tick unnecessary
	tickNewShard = 2 * time.Minute  // after a shard without any record was taken over; its first may be under way
	dayMS        = 24 * 3600 * 1000
)

// writeTicks writes a tick record into each owned shard that has been quiet since
// before midnight, until ctx ends. A day closes when the log time of every shard
// has passed its end, and only a record moves log time (schemas/DESIGN.md
// "Closing a day"): without the tick, one quiet shard would keep the day open.
func (s *Service) writeTicks(ctx context.Context) error {
	ticked := map[int32]int64{} // by shard, the day of the last tick
	return repeat(ctx, tickEvery, func() {
		if _, err := s.clock.now(); err != nil {
			return // a tick would move log time to a day that has not begun
		}
		today := time.Now().Add(-tickAfter).UnixMilli() / dayMS
		for _, o := range s.owned() {
			shard := o.worker.shard
			at, since := o.worker.buffer.position()
			if at.logTime/dayMS >= today || ticked[shard] == today || since.IsZero() {
				continue
			}
			if at.logTime == 0 && time.Since(since) < tickNewShard {
				continue
			}
			if err := s.writeTick(ctx, shard); err != nil {
				s.log.WarnContext(ctx, "write tick failed, will retry", "shard", shard, "err", err)
				continue
			}
			ticked[shard] = today
		}
	})
}

// writeTick writes a tick record into shard. A second one, for instance of an
// owner that has lost the shard, does no harm.
func (s *Service) writeTick(ctx context.Context, shard int32) error {
	ctx, cancel := context.WithTimeout(ctx, tickEvery)
	defer cancel()
	r := &kgo.Record{Topic: topic.Name, Partition: shard, Value: topic.AppendTick(nil), Timestamp: time.Now()}
	if err := s.admin.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("write tick into shard %d: %w", shard, err)
	}
	return nil
}
