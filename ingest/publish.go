package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/topic"
)

// publish returns nil once Kafka has acknowledged every event. After any error
// some of them may lie in the log none the less: whoever sends them again is
// asked to send the same random_id.
//
// The records do not follow the client's context. One that was given up fails
// its neighbours in the partition with it, to keep their order, and a client
// that hangs up is no reason to fail another's events.
func (s *Service) publish(ctx context.Context, events []schemas.Event) error {
	b := s.newBatch()
	if err := b.load(events, s.deps.Layout.Shards); err != nil {
		s.batches.Put(b)
		return err
	}
	return s.produce(ctx, b)
}

// publishChange is publish of one change of a client.
func (s *Service) publishChange(ctx context.Context, c *schemas.Change) error {
	b := s.newBatch()
	b.begin()
	b.add(c.Product, c.Client, s.deps.Layout.Shards, func(dst []byte) []byte { return topic.AppendChange(dst, c) })
	return s.produce(ctx, b)
}

func (s *Service) produce(ctx context.Context, b *batch) error {
	start, n := s.now(), len(b.records)
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.PublishTimeout)
	defer cancel()
	b.send(wait, s.deps.Kafka)
	err := s.wait(wait, b)
	if err != nil {
		return s.unavailable(ctx, fmt.Errorf("publish %d records: %w", n, err))
	}
	s.metrics.publish.Observe(s.now().Sub(start).Seconds())
	return nil
}

// errAckTimeout says that Kafka was silent for PublishTimeout.
var errAckTimeout = errors.New("no acknowledgement in time")

// wait waits for the last acknowledgement. A shipment that is not through in
// time stays in the client's hands, which cannot take back what may be on its
// way: it counts as stuck until it is decided, and while one is, no request is
// let in. So a dead broker costs one timeout, not one for each request.
func (s *Service) wait(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
	case <-ctx.Done():
		s.timedOutBatches.Add(1)
		if b.state.CompareAndSwap(batchWaiting, batchAbandoned) {
			return errAckTimeout
		}
		s.timedOutBatches.Add(-1)
		<-b.done // it was decided in this moment
	}
	defer s.batches.Put(b)
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// The states of a shipment.
const (
	batchWaiting   = iota // the request waits for it
	batchComplete         // every record was acknowledged or failed
	batchAbandoned        // the request is gone; the last record decides
)

// batch is the records of one request, from their bytes to their
// acknowledgements. It goes back to the pool only when Kafka's client is done
// with every one of them.
type batch struct {
	s       *Service
	records []kgo.Record
	bytes   []byte // of all keys and values

	unacked atomic.Int64
	failure atomic.Pointer[error] // of the first record that failed
	state   atomic.Int32
	done    chan struct{} // gets one value when decided while awaited
}

func (s *Service) newBatch() *batch {
	b, ok := s.batches.Get().(*batch)
	if !ok {
		b = &batch{s: s, done: make(chan struct{}, 1)}
	}
	b.failure.Store(nil)
	b.state.Store(batchWaiting)
	return b
}

// begin empties the shipment.
func (b *batch) begin() {
	clear(b.records)
	b.records, b.bytes = b.records[:0], b.bytes[:0]
}

// load makes a record of each event.
func (b *batch) load(events []schemas.Event, shards int) error {
	b.begin()
	var bad []schemas.ItemError
	for i := range events {
		e := &events[i]
		size := b.add(e.Product, e.Client, shards, func(dst []byte) []byte { return topic.Append(dst, e) })
		if size > schemas.MaxEventBytes && len(bad) < maxItemErrors {
			bad = append(bad, schemas.ItemError{Index: i, Reason: fmt.Sprintf("is longer than %d bytes", schemas.MaxEventBytes)})
		}
	}
	if bad != nil {
		return &schemas.RequestError{
			Status: http.StatusBadRequest, Code: codeBadItems, Items: bad,
			Detail: fmt.Sprintf("data[%d] %s", bad[0].Index, bad[0].Reason),
		}
	}
	return nil
}

// add cuts one record more out of the run of bytes, and says how long its value
// is.
func (b *batch) add(product, client int64, shards int, value func(dst []byte) []byte) int {
	start := len(b.bytes)
	b.bytes = topic.Key(b.bytes, product, client)
	middle := len(b.bytes)
	b.bytes = value(b.bytes)
	b.records = append(b.records, kgo.Record{
		Topic:     topic.Name,
		Partition: topic.Shard(product, client, shards),
		Key:       b.bytes[start:middle:middle],
		Value:     b.bytes[middle:len(b.bytes):len(b.bytes)],
	})
	return len(b.bytes) - middle
}

func (b *batch) send(ctx context.Context, kafka *kgo.Client) {
	b.unacked.Store(int64(len(b.records)))
	decide := b.onAck
	for i := range b.records {
		kafka.Produce(ctx, &b.records[i], decide)
	}
}

// onAck is told of each record once.
func (b *batch) onAck(_ *kgo.Record, err error) {
	if err != nil {
		b.failure.CompareAndSwap(nil, &err)
	}
	if b.unacked.Add(-1) > 0 {
		return
	}
	if b.state.CompareAndSwap(batchWaiting, batchComplete) {
		b.done <- struct{}{}
		return
	}
	b.s.timedOutBatches.Add(-1)
	b.s.batches.Put(b)
}
