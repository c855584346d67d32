package processor

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"weir/schemas/lake"
	"weir/schemas/topic"
)

const (
	groupID           = "weir-processor"
	groupOffsetsEvery = 5 * time.Second
)

// CommittedOffsets returns, by shard, the smallest offset of the log that some
// table still needs: records below it may be deleted from the log. A shard that
// some table does not have yet is left out. An offset past the end of the log
// means that the lake was filled from another log, and that nothing may be
// deleted.
//
// The offsets come from the snapshots of the tables and never from Kafka's group
// offsets: records that a table lacks exist nowhere else.
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

// commitGroupOffsets commits the offsets of the lake to a consumer group of Kafka
// until ctx ends, so that tools which watch lag there show it. The group offsets
// are a hint for people: nothing reads them back. An owner that resumed from one
// would skip or repeat records, because Kafka moves it apart from the rows
// (schemas/DESIGN.md "Shard state lives in the snapshot").
func (s *Service) commitGroupOffsets(ctx context.Context) error {
	committed := map[int32]int64{}
	return repeat(ctx, groupOffsetsEvery, func() {
		offsets := kadm.Offsets{}
		for shard, next := range s.commits.committedOffsets() {
			if committed[shard] != next {
				offsets.AddOffset(topic.Name, shard, next, -1)
			}
		}
		if len(offsets) == 0 {
			return
		}
		if err := s.commitGroup(ctx, offsets); err != nil {
			s.log.DebugContext(ctx, "commit group offsets failed, will retry", "err", err)
			return
		}
		offsets.Each(func(o kadm.Offset) { committed[o.Partition] = o.At })
	})
}

func (s *Service) commitGroup(ctx context.Context, offsets kadm.Offsets) error {
	ctx, cancel := context.WithTimeout(ctx, groupOffsetsEvery)
	defer cancel()
	return kadm.NewClient(s.admin).CommitAllOffsets(ctx, groupID, offsets)
}
