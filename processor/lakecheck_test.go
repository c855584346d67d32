package processor

import (
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/lake/laketest"
	"weir/schemas/topic"
)

// check compares every table with the log, each up to its own offset.
func (w *harness) check() {
	w.t.Helper()
	laketest.Check(w.t, w.reader, w.readLog())
}

// checkDone also requires every table to be at the end of the log.
func (w *harness) checkDone() {
	w.t.Helper()
	laketest.CheckDone(w.t, w.reader, w.readLog())
}

// readLog reads the whole log.
func (w *harness) readLog() laketest.Log {
	w.t.Helper()
	endOffsets, err := kadm.NewClient(w.producer).ListEndOffsets(w.t.Context(), topic.Name)
	w.must(err)
	log := laketest.Log{Window: w.window, Shards: map[int32][]laketest.Record{}}
	left, parts := int64(0), map[int32]kgo.Offset{}
	for shard := range int32(w.layout.Shards) {
		end, _ := endOffsets.Lookup(topic.Name, shard)
		left += end.Offset
		parts[shard] = kgo.NewOffset().At(0)
		log.Shards[shard] = nil
	}
	if left == 0 {
		return log
	}
	cl, err := w.kafka(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic.Name: parts}))
	w.must(err)
	defer cl.Close()
	for left > 0 {
		for _, r := range cl.PollFetches(w.t.Context()).Records() {
			if r.Offset != int64(len(log.Shards[r.Partition])) {
				w.t.Fatalf("log of shard %d has offset %d where %d should be", r.Partition, r.Offset, len(log.Shards[r.Partition]))
			}
			log.Shards[r.Partition] = append(log.Shards[r.Partition], w.recordOf(r))
			left--
		}
	}
	return log
}

// recordOf returns a record with what was sent, which is not what Decode makes of it.
func (w *harness) recordOf(r *kgo.Record) laketest.Record {
	var e schemas.Event
	kind, err := topic.Decode(r.Value, &e)
	content := laketest.Event
	switch {
	case err != nil:
		content = laketest.Poison
	case kind == topic.Tick:
		content = laketest.Control
	case kind == topic.Property, kind == topic.Contact:
		content = laketest.Change
	}
	w.sentMu.Lock()
	defer w.sentMu.Unlock()
	of := w.sent[logPlace{r.Partition, r.Offset}]
	return laketest.Record{
		Event: of.event, Change: of.change,
		Content: content, Product: e.Product, Client: e.Client, RandomID: e.RandomID, Stamp: r.Timestamp.UnixMilli(),
	}
}
