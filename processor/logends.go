package processor

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"weir/schemas/topic"
)

const logEndEvery = time.Second // how often Kafka is asked where the log ends

// watchLogEnds asks Kafka every second where the logs of the owned shards end,
// until ctx ends. A fetch alone cannot tell: while no record comes, it does not
// return, and a shard would not know that it has read everything, nor when.
func (s *Service) watchLogEnds(ctx context.Context) error {
	return repeat(ctx, logEndEvery, func() {
		owned := s.owned()
		if len(owned) == 0 {
			return
		}
		asked := time.Now() // before the request: all that was in the log at this time is below the answer
		highWatermarks, err := s.highWatermarks(ctx)
		if err != nil {
			s.log.DebugContext(ctx, "list log end offsets failed, will retry", "err", err)
			return
		}
		for _, o := range owned {
			if end, ok := highWatermarks.Lookup(topic.Name, o.worker.shard); ok && end.Err == nil {
				o.worker.buffer.setLogEnd(end.Offset, asked)
			}
		}
	})
}

// repeat calls do at each interval, for the first time after one, until ctx ends.
func repeat(ctx context.Context, interval time.Duration, do func()) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-ctx.Done():
			return nil
		}
	}
}

// highWatermarks lists the end offset of each shard.
func (s *Service) highWatermarks(ctx context.Context) (kadm.ListedOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, groupOffsetsEvery)
	defer cancel()
	return kadm.NewClient(s.admin).ListEndOffsets(ctx, topic.Name)
}
