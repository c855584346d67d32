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
	logEndEvery       = time.Second // how often Kafka is asked where the log ends
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

// watchLogEnds asks Kafka every second where the logs of the owned shards end,
// until ctx ends. A fetch alone cannot tell: while no record comes, it does not
// return, and a shard would not know that it has read everything, nor when.
func (s *Service) watchLogEnds(ctx context.Context) error {
	every := time.NewTicker(logEndEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		owned := s.owned()
		if len(owned) == 0 {
			continue
		}
		asked := time.Now() // before the request: all that was in the log at this time is below the answer
		highWatermarks, err := s.highWatermarks(ctx)
		if err != nil {
			s.log.DebugContext(ctx, "list log end offsets failed, will retry", "err", err)
			continue
		}
		for _, o := range owned {
			if end, ok := highWatermarks.Lookup(topic.Name, o.worker.shard); ok && end.Err == nil {
				o.worker.buffer.setLogEnd(end.Offset, asked)
			}
		}
	}
}

// highWatermarks lists the end offset of each shard.
func (s *Service) highWatermarks(ctx context.Context) (kadm.ListedOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, groupOffsetsEvery)
	defer cancel()
	return kadm.NewClient(s.admin).ListEndOffsets(ctx, topic.Name)
}

// commitGroupOffsets commits the offsets of the lake to a consumer group of Kafka
// until ctx ends, so that tools which watch lag there show it. The group offsets
// are a hint for people: nothing reads them back. An owner that resumed from one
// would skip or repeat records, because Kafka moves it apart from the rows
// (DESIGN.md, "Shard state lives in the snapshot").
func (s *Service) commitGroupOffsets(ctx context.Context) error {
	every := time.NewTicker(groupOffsetsEvery)
	defer every.Stop()
	committed := map[int32]int64{}
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		offsets := kadm.Offsets{}
		for shard, next := range s.commits.committedOffsets() {
			if committed[shard] != next {
				offsets.AddOffset(topic.Name, shard, next, -1)
			}
		}
		if len(offsets) == 0 {
			continue
		}
		if err := s.commitGroup(ctx, offsets); err != nil {
			s.log.DebugContext(ctx, "commit group offsets failed, will retry", "err", err)
			continue
		}
		offsets.Each(func(o kadm.Offset) { committed[o.Partition] = o.At })
	}
}

func (s *Service) commitGroup(ctx context.Context, offsets kadm.Offsets) error {
	ctx, cancel := context.WithTimeout(ctx, groupOffsetsEvery)
	defer cancel()
	return kadm.NewClient(s.admin).CommitAllOffsets(ctx, groupID, offsets)
}
