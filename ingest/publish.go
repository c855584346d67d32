package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/topic"
)

// publish returns nil once Kafka has acknowledged every event. After an error
// some of the events may be in the log: the client is asked to send the request
// again, and the processor drops what has the same random_id.
//
// The records do not follow the context of the request. The Kafka client fails
// all buffered records of a partition together with a cancelled one, to keep
// their order, so a client that hangs up would fail the events of others.
func (s *Service) publish(ctx context.Context, in *request, events []schemas.Event) error {
	b := s.newBatch(in)
	err := b.reserve(events)
	if err == nil {
		err = b.load(events, s.deps.Layout.Shards, in.body.bytes)
	}
	if err == nil {
		err = b.acquireRecords(ctx)
	}
	s.decoded(in)
	if err != nil {
		b.free()
		return err
	}
	return s.produce(ctx, b)
}

// publishChange is publish for one change of a client.
func (s *Service) publishChange(ctx context.Context, in *request, c *schemas.Change) error {
	b := s.newBatch(in)
	b.reset(s.deps.Layout.Shards)
	err := b.charge.add(int64(len(c.Values)) + recordBytes)
	if err == nil {
		b.add(c.Product, c.Client, s.deps.Layout.Shards, func(dst []byte) []byte { return topic.AppendChange(dst, c) })
		err = b.acquireRecords(ctx)
	}
	s.decoded(in)
	if err != nil {
		b.free()
		return err
	}
	return s.produce(ctx, b)
}

// produce sends the batch and waits up to PublishTimeout for its
// acknowledgements. It takes over the batch, also when it fails.
//
// Nothing may be answered with 200 before it returns nil: up to here the
// events exist in this process's memory alone.
func (s *Service) produce(ctx context.Context, b *batch) error {
	start, n := s.now(), len(b.records)
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.PublishTimeout)
	defer cancel()
	b.send(deadline, s.deps.Kafka)
	if err := b.wait(deadline); err != nil {
		return s.unavailable(ctx, fmt.Errorf("publish %d records: %w", n, err))
	}
	s.metrics.publish.Observe(s.now().Sub(start).Seconds())
	return nil
}

// errAckTimeout is returned when Kafka does not answer within PublishTimeout.
var errAckTimeout = errors.New("no acknowledgement in time")

// wait waits for the last acknowledgement. The records of a batch that is late
// stay with the Kafka client, which cannot take back what may be on the wire.
// Its shards count as late until Kafka has decided on it, and what would go to them is
// refused. A shard that cannot be written to so costs one timeout, not one per request.
func (b *batch) wait(ctx context.Context) error {
	slow := time.NewTimer(slowAfter)
	defer slow.Stop()
	for decided := false; !decided; {
		select {
		case <-b.done:
			decided = true
		case <-slow.C:
			b.markSlow()
		case <-ctx.Done():
			b.markLate() // before the swap: after it the batch is no longer ours
			if b.state.CompareAndSwap(batchWaiting, batchAbandoned) {
				return errAckTimeout
			}
			<-b.done // the last acknowledgement came in this moment
			decided = true
		}
	}
	failure := b.failure.Load()
	b.free()
	if failure != nil {
		return *failure
	}
	return nil
}

// States of a batch. Whoever leaves batchWaiting first, by compare-and-swap,
// decides who returns the batch to the pool: wait or the last onAck.
const (
	batchWaiting   = iota // the request waits
	batchComplete         // every record was acknowledged or has failed
	batchAbandoned        // the request timed out; the last onAck frees the batch
)

// recordBytes is what a record holds beside its key and value: itself, and its
// places in the Kafka client's queues.
const recordBytes = int64(unsafe.Sizeof(kgo.Record{})) + 128

// batch holds the records of one request from encoding to acknowledgement. It
// must not return to the pool before the Kafka client has called onAck for
// every record, since the client reads the records until then.
type batch struct {
	s        *Service
	records  []kgo.Record
	bytes    []byte // keys and values of all records; the records alias it
	charge   charge // of bytes and records, until the last acknowledgement
	acquired int64  // of budget.records

	unacked   atomic.Int64   // records without an onAck yet
	unackedOf []atomic.Int64 // those of each shard, and marks; see mark
	slowBytes int64          // of lateShards.slowBytes

	failure atomic.Pointer[error] // of the first record that failed
	state   atomic.Int32
	done    chan struct{} // receives one value when the batch completes while the request waits
}

func (s *Service) newBatch(in *request) *batch {
	b, ok := s.batches.Get().(*batch)
	if !ok {
		b = &batch{s: s, done: make(chan struct{}, 1)}
	}
	b.failure.Store(nil)
	b.state.Store(batchWaiting)
	b.charge = charge{budget: in.charge.budget, source: in.charge.source, account: in.charge.account, letIn: in.charge.letIn}
	return b
}

// acquireRecords waits until the batch may go to Kafka. The request keeps its turn so
// long: encoded batches that pile up would hold more than bodies that wait.
func (b *batch) acquireRecords(ctx context.Context) error {
	if err := b.admitShards(ctx); err != nil {
		return err
	}
	var err error
	b.acquired, err = b.s.memory.records.acquire(ctx, b.charge.account, b.size(), b.s.cfg.QueueWait)
	return err
}

// size returns what the records of the batch hold.
func (b *batch) size() int64 { return int64(len(b.bytes)) + int64(len(b.records))*recordBytes }

// free gives back all memory of the batch. Small buffers stay with it in the pool.
func (b *batch) free() {
	b.charge.release()
	if b.acquired > 0 {
		b.s.memory.records.release(b.acquired)
		b.acquired = 0
	}
	b.s.lateShards.slowBytes.Add(-b.slowBytes)
	b.slowBytes = 0
	if cap(b.bytes) > maxPooledBytes {
		b.bytes = nil
	}
	if cap(b.records) > maxPooledEvents {
		b.records = nil
	}
	b.s.batches.Put(b)
}

// reserve makes room for the records of events, so that bytes need not grow, and
// charges it. Growing would keep the old arrays, which the records before alias.
func (b *batch) reserve(events []schemas.Event) error {
	size := 0
	for i := range events {
		size += recordSize(&events[i])
	}
	if err := b.charge.add(int64(max(size, cap(b.bytes))) + int64(max(len(events), cap(b.records)))*recordBytes); err != nil {
		return err
	}
	if size > cap(b.bytes) {
		b.bytes = make([]byte, 0, size)
	}
	b.records = slices.Grow(b.records[:0], len(events))
	return nil
}

// recordSize returns how long the key and value of an event are at most.
func recordSize(e *schemas.Event) int {
	const numbersAndTags = 192 // key, varints, a tag and a length for each text
	n := numbersAndTags + len(e.Name) + len(e.RandomID) + len(e.SessionID) + len(e.AppKey) + len(e.AppName) + len(e.AppVersion) +
		len(e.ContentLocale) + len(e.UILocale) + len(e.UserAgent) + len(e.IP) + len(e.User) + len(e.ClientProps) + len(e.ValueText) + len(e.Properties)
	if e.Category != nil {
		n += len(*e.Category)
	}
	if x := e.Exception; x != nil {
		n += len(x.Class) + len(x.Method) + len(x.Message) + len(x.Stack)
	}
	return n
}

func (b *batch) reset(shards int) {
	clear(b.records)
	b.records, b.bytes = b.records[:0], b.bytes[:0]
	if len(b.unackedOf) != shards {
		b.unackedOf = make([]atomic.Int64, shards)
	}
	for shard := range b.unackedOf {
		b.unackedOf[shard].Store(0)
	}
}

// load encodes each event into a record. The error names events that are
// longer than a record may be.
func (b *batch) load(events []schemas.Event, shards int, body []byte) error {
	b.reset(shards)
	var bad []schemas.ItemError
	for i := range events {
		e := &events[i]
		size := b.add(e.Product, e.Client, shards, func(dst []byte) []byte { return topic.Append(dst, e) })
		if size > schemas.MaxEventBytes && len(bad) < maxItemErrors {
			bad = append(bad, schemas.ItemError{Index: i, Reason: fmt.Sprintf("is longer than %d bytes", schemas.MaxEventBytes)})
		}
		letOthersRun(body)
	}
	if bad != nil {
		return &schemas.RequestError{
			Status: http.StatusBadRequest, Code: codeBadItems, Items: bad,
			Detail: fmt.Sprintf("data[%d] %s", bad[0].Index, bad[0].Reason),
		}
	}
	return nil
}

// add appends one record and returns the length of its value. Growing b.bytes
// may move it; the records made before keep the old array, which stays valid.
func (b *batch) add(product, client int64, shards int, value func(dst []byte) []byte) int {
	start := len(b.bytes)
	b.bytes = topic.Key(b.bytes, product, client)
	middle := len(b.bytes)
	b.bytes = value(b.bytes)
	shard := topic.Shard(product, client, shards)
	b.unackedOf[shard].Add(1)
	b.records = append(b.records, kgo.Record{
		Topic:     topic.Name,
		Partition: shard,
		Key:       b.bytes[start:middle:middle],
		Value:     b.bytes[middle:len(b.bytes):len(b.bytes)],
	})
	return len(b.bytes) - middle
}

func (b *batch) send(ctx context.Context, kafka *kgo.Client) {
	b.unacked.Store(int64(len(b.records))) // before the first Produce: onAck may run at once
	onAck := b.onAck
	for i := range b.records {
		kafka.Produce(ctx, &b.records[i], onAck)
	}
}

// onAck is called once per record, from goroutines of the Kafka client. A nil
// error means that all in-sync replicas have the record.
func (b *batch) onAck(r *kgo.Record, err error) {
	if err != nil {
		b.failure.CompareAndSwap(nil, &err)
	}
	b.acked(r.Partition)
	if b.unacked.Add(-1) > 0 {
		return
	}
	if b.state.CompareAndSwap(batchWaiting, batchComplete) {
		b.done <- struct{}{}
		return
	}
	b.free() // the request timed out; this was its last record
}

// KafkaOpts returns the client options on which the guarantees of the package
// rest. The caller adds the addresses of the brokers.
//
// Do not weaken RequiredAcks: an answer of 200 promises that the events survive
// the loss of a broker, and with acks=1 an acknowledged record is lost when its
// leader fails before a follower has it. Idempotence, which the client enables
// by default, keeps the client's own retries from storing a record twice.
func KafkaOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), // batch.add sets the partition with our own hash
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.ProducerLinger(2 * time.Millisecond), // lets concurrent requests share a Kafka batch
		kgo.MaxBufferedRecords(200_000),
		kgo.MaxBufferedBytes(64 << 20),
		kgo.RecordDeliveryTimeout(30 * time.Second),
	}
}
