package processor

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/lake"
	"weir/schemas/topic"
)

const (
	tickEvery    = 15 * time.Second // how often shards are looked at
	tickAfter    = 15 * time.Second // past midnight: what is under way then moves the shard by itself
	tickNewShard = 2 * time.Minute  // for a shard that never had a record: its first may be on the way
	dayMS        = 24 * 3600 * 1000
)

// writeTicks writes a tick record into each shard of this process that has been
// quiet since before midnight, so that the day can close (rule 8), until ctx
// ends.
func (s *Service) writeTicks(ctx context.Context) error {
	ticked := map[int32]int64{} // by shard, the day of the last tick
	every := time.NewTicker(tickEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
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
				s.log.WarnContext(ctx, "tick not written, will be tried again", "shard", shard, "err", err)
				continue
			}
			ticked[shard] = today
		}
	}
}

// writeTick writes a tick record into shard.
func (s *Service) writeTick(ctx context.Context, shard int32) error {
	ctx, cancel := context.WithTimeout(ctx, tickEvery)
	defer cancel()
	r := &kgo.Record{Topic: topic.Name, Partition: shard, Value: topic.AppendTick(nil), Timestamp: time.Now()}
	if err := s.admin.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("write tick into shard %d: %w", shard, err)
	}
	return nil
}

// CommittedOffsets is, for every shard, the smallest offset of the log that some table
// still needs: what lies below it may leave the log. A shard that is missing in
// a table is missing here. An offset past the end of the log says that the log
// is not the lake's: nothing of it may be deleted.
func CommittedOffsets(ctx context.Context, l *lake.Lake) (map[int32]int64, error) {
	committed, base, seen := map[int32]int64{}, map[int32]int64{}, map[int32]int{}
	for _, t := range lake.Tables() {
		s, err := l.Load(ctx, t)
		if err != nil {
			return nil, err
		}
		for shard, at := range s.ShardStates() {
			if seen[shard] == 0 || at.Next < committed[shard] {
				committed[shard] = at.Next
			}
			base[shard] = max(base[shard], at.Position.Base)
			seen[shard]++
		}
	}
	for shard, n := range seen {
		committed[shard] -= base[shard]
		if n < len(lake.Tables()) {
			delete(committed, shard)
		}
	}
	return committed, nil
}
