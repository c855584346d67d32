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
	sh := s.shipment()
	if err := sh.load(events, s.deps.Layout.Shards); err != nil {
		s.shipments.Put(sh)
		return err
	}
	return s.ship(ctx, sh)
}

// publishChange is publish of one change of a client.
func (s *Service) publishChange(ctx context.Context, c *schemas.Change) error {
	sh := s.shipment()
	sh.begin()
	sh.add(c.Product, c.Client, s.deps.Layout.Shards, func(dst []byte) []byte { return topic.AppendChange(dst, c) })
	return s.ship(ctx, sh)
}

func (s *Service) ship(ctx context.Context, sh *shipment) error {
	start, n := s.now(), len(sh.records)
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.PublishTimeout)
	defer cancel()
	sh.send(wait, s.deps.Kafka)
	err := s.await(wait, sh)
	if err != nil {
		return s.unavailable(ctx, fmt.Errorf("publish %d records: %w", n, err))
	}
	s.metrics.publish.Observe(s.now().Sub(start).Seconds())
	return nil
}

// errNoAnswer says that Kafka was silent for PublishTimeout.
var errNoAnswer = errors.New("no acknowledgement in time")

// await waits for the last acknowledgement. A shipment that is not through in
// time stays in the client's hands, which cannot take back what may be on its
// way: it counts as stuck until it is decided, and while one is, no request is
// let in. So a dead broker costs one timeout, not one for each request.
func (s *Service) await(ctx context.Context, sh *shipment) error {
	select {
	case <-sh.done:
	case <-ctx.Done():
		s.stuck.Add(1)
		if sh.state.CompareAndSwap(shipmentAwaited, shipmentLeft) {
			return errNoAnswer
		}
		s.stuck.Add(-1)
		<-sh.done // it was decided in this moment
	}
	defer s.shipments.Put(sh)
	if err := sh.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// The states of a shipment.
const (
	shipmentAwaited = iota // the request waits for it
	shipmentDecided        // every record was acknowledged or failed
	shipmentLeft           // the request is gone; the last record decides
)

// shipment is the records of one request, from their bytes to their
// acknowledgements. It goes back to the pool only when Kafka's client is done
// with every one of them.
type shipment struct {
	s       *Service
	records []kgo.Record
	bytes   []byte // of all keys and values

	undecided atomic.Int64
	failure   atomic.Pointer[error] // of the first record that failed
	state     atomic.Int32
	done      chan struct{} // gets one value when decided while awaited
}

func (s *Service) shipment() *shipment {
	sh, ok := s.shipments.Get().(*shipment)
	if !ok {
		sh = &shipment{s: s, done: make(chan struct{}, 1)}
	}
	sh.failure.Store(nil)
	sh.state.Store(shipmentAwaited)
	return sh
}

// begin empties the shipment.
func (sh *shipment) begin() {
	clear(sh.records)
	sh.records, sh.bytes = sh.records[:0], sh.bytes[:0]
}

// load makes a record of each event.
func (sh *shipment) load(events []schemas.Event, shards int) error {
	sh.begin()
	var bad []schemas.ItemError
	for i := range events {
		e := &events[i]
		size := sh.add(e.Product, e.Client, shards, func(dst []byte) []byte { return topic.Append(dst, e) })
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
func (sh *shipment) add(product, client int64, shards int, value func(dst []byte) []byte) int {
	start := len(sh.bytes)
	sh.bytes = topic.Key(sh.bytes, product, client)
	middle := len(sh.bytes)
	sh.bytes = value(sh.bytes)
	sh.records = append(sh.records, kgo.Record{
		Topic:     topic.Name,
		Partition: topic.Shard(product, client, shards),
		Key:       sh.bytes[start:middle:middle],
		Value:     sh.bytes[middle:len(sh.bytes):len(sh.bytes)],
	})
	return len(sh.bytes) - middle
}

func (sh *shipment) send(ctx context.Context, kafka *kgo.Client) {
	sh.undecided.Store(int64(len(sh.records)))
	decide := sh.decide
	for i := range sh.records {
		kafka.Produce(ctx, &sh.records[i], decide)
	}
}

// decide is told of each record once.
func (sh *shipment) decide(_ *kgo.Record, err error) {
	if err != nil {
		sh.failure.CompareAndSwap(nil, &err)
	}
	if sh.undecided.Add(-1) > 0 {
		return
	}
	if sh.state.CompareAndSwap(shipmentAwaited, shipmentDecided) {
		sh.done <- struct{}{}
		return
	}
	sh.s.stuck.Add(-1)
	sh.s.shipments.Put(sh)
}
