package processor

import (
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/tail"
)

const (
	batchRows    = 8192                       // rows of a batch at most: builders grow by doubling, and one row more would hold twice as much
	publishRows  = batchRows - recordsPerStep // rows that become a batch although no request needs them
	publishEvery = 100 * time.Millisecond     // how old the position of an answer may be; batches of a few rows would cost more than they hold
)

// tailBuffer holds the rows of one shard that an answer may need: those gathered
// since the last cut, those of the cut that is being committed, and those of the
// cut before that. The last are for planners that loaded the tables just before
// that cut was committed: they ask from an offset that the lake has since passed.
//
// The shard's worker writes the buffer, any number of requests read it. Batches
// are immutable and reference-counted, so a request reads them without the lock.
// Rows since the last batch become a batch when a request needs them.
type tailBuffer struct {
	shard int32
	epoch int64 // of the lease

	mu          sync.Mutex       // guards what follows
	rows        *columns.Builder // of the open cut, not in a batch yet
	changes     *columns.ChangeBuilder
	cuts        []bufferedCut // oldest first, without gaps between them; the last one is open. nil while no assignment runs
	gathered    position      // how far the rows reach
	published   position      // how far the batches reach; answers are as of this position
	publishedAt time.Time
	startedAt   time.Time
	first       int64  // offset at which the shard begins; no row is before it
	base        int64  // offset of the lake minus offset of the log (lake.LogPosition.Base)
	listedEnd   logEnd // last answer of Kafka; see setLogEnd
}

// logEnd is the end of the log as of a time.
type logEnd struct {
	next int64 // offset of the lake
	at   int64 // epoch milliseconds
}

// bufferedCut holds the rows of one cut.
type bufferedCut struct {
	from    int64          // offset at which it starts
	batches []arrow.Record // of events
	changes []arrow.Record
	bytes   int64
}

func (c *bufferedCut) release() {
	release(c.batches)
	release(c.changes)
}

// position is how far a shard has been gathered, as an answer states it.
type position struct {
	next    int64 // first offset that is not classified
	logTime int64 // epoch milliseconds
	end     int64 // end of the log as last seen, an offset of the lake; 0 means not seen yet
	readAt  int64 // all that was in the log at this time is before next; epoch milliseconds; 0 means not known
}

// start begins to answer requests, with no rows, at the state s of events.
func (b *tailBuffer) start(mem memory.Allocator, s lake.ShardState) {
	p := position{next: s.Next, logTime: s.LogTime}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows, b.changes = columns.NewBuilder(mem), columns.NewChangeBuilder(mem)
	b.cuts = []bufferedCut{{from: p.next}}
	b.gathered, b.published, b.startedAt = p, p, time.Now()
	b.first, b.base, b.listedEnd = s.First, s.Position.Base, logEnd{}
}

// stop releases all rows. From then on requests get ErrNotOwner.
func (b *tailBuffer) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.cuts {
		c.release()
	}
	b.cuts = nil
	if b.rows != nil {
		b.rows.Release()
		b.changes.Release()
		b.rows, b.changes = nil, nil
	}
}

// setLogEnd records that the log ended at end, an offset of the log. `at` is when
// Kafka was asked for it, and zero for the end that came with a fetch: a fetch may
// have waited in our queue for an unknown time, so it proves no time of reading.
func (b *tailBuffer) setLogEnd(end int64, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cuts == nil {
		return
	}
	b.gathered.end = end + b.base
	if !at.IsZero() {
		b.listedEnd = logEnd{next: b.gathered.end, at: at.UnixMilli()}
	}
	b.updateReadAt()
}

// updateReadAt moves readAt when everything up to the listed end of the log is
// gathered. The caller holds the lock.
func (b *tailBuffer) updateReadAt() {
	if b.gathered.next >= b.listedEnd.next {
		b.gathered.readAt = b.listedEnd.at
	}
}

// advanceTo records how far the appended rows reach. The caller holds the lock.
func (b *tailBuffer) advanceTo(next, logTime int64) {
	b.gathered.next, b.gathered.logTime = next, logTime
	b.updateReadAt()
	if b.rows.Len() > publishRows || b.changes.Len() > publishRows {
		b.publish()
	}
}

// publish turns the rows since the last batch into a batch, and moves the position
// of answers to it. Rows and position move together, so that an answer never
// states a position whose rows it lacks. The caller holds the lock.
func (b *tailBuffer) publish() {
	open := &b.cuts[len(b.cuts)-1]
	if b.rows.Len() > 0 {
		open.bytes += b.rows.BatchBytes()
		open.batches = append(open.batches, b.rows.Batch())
		b.publishedAt = time.Now()
	}
	if b.changes.Len() > 0 {
		open.bytes += b.changes.BatchBytes()
		open.changes = append(open.changes, b.changes.Batch())
		b.publishedAt = time.Now()
	}
	b.published = b.gathered
}

// bytes returns the memory of the open cut.
func (b *tailBuffer) bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		return 0
	}
	return b.cuts[len(b.cuts)-1].bytes + b.rows.Bytes() + b.changes.Bytes()
}

// seal closes the open cut and opens the next. The caller must release the batches
// it gets; the buffer keeps its own references, so the tail stays complete while
// the cut is being committed.
func (b *tailBuffer) seal() (rows, changes []arrow.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publish()
	open := &b.cuts[len(b.cuts)-1]
	rows, changes = slices.Clone(open.batches), slices.Clone(open.changes)
	retain(rows)
	retain(changes)
	b.cuts = append(b.cuts, bufferedCut{from: b.gathered.next})
	return rows, changes
}

// dropCommitted is called when the last sealed cut is in all tables. It drops the
// cuts before that one, which itself stays for one cut more.
func (b *tailBuffer) dropCommitted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.cuts) > 2 {
		b.cuts[0].release()
		b.cuts = slices.Delete(b.cuts, 0, 1)
	}
}

// position returns how far the shard is gathered, and since when the buffer
// answers; the time is zero while it does not.
func (b *tailBuffer) position() (position, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cuts == nil {
		return position{}, time.Time{}
	}
	return b.gathered, b.startedAt
}

// tail returns what is held from offset `from` on, as of one position for all
// tables. Each refusal makes the planner act: ErrBehind means that the lake has
// passed this owner, which has yet to notice that another one committed; ErrGone
// means that the rows are in the lake by now, so the tables must be loaded again.
func (b *tailBuffer) tail(from int64) (tail.Part, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cuts == nil {
		return tail.Part{}, tail.ErrNotOwner
	}
	if b.rows.Len()+b.changes.Len() == 0 || time.Since(b.publishedAt) >= publishEvery {
		b.publish()
	}
	if from > b.published.next {
		return tail.Part{}, tail.ErrBehind
	}
	if from < b.cuts[0].from && b.cuts[0].from > b.first {
		return tail.Part{}, tail.ErrGone
	}
	part := tail.Part{
		Shard: b.shard, Epoch: b.epoch, From: from,
		Next: b.published.next, LogTime: b.published.logTime, ReadAt: b.published.readAt, End: max(b.published.end, b.published.next),
	}
	for _, c := range b.cuts {
		part.Rows = appendFrom(part.Rows, c.batches, from)
		part.Changes = appendFrom(part.Changes, c.changes, from)
	}
	return part, nil
}

// appendFrom appends the rows of batches at and after an offset. The slices it
// appends are retained for the caller.
func appendFrom(dst, batches []arrow.Record, from int64) []arrow.Record {
	for _, b := range batches {
		if b = fromOffset(b, from); b != nil {
			dst = append(dst, b)
		}
	}
	return dst
}

// fromOffset returns the rows of b at and after an offset, retained for the caller,
// or nil if there are none. Rows of a batch are in the order of their offsets.
func fromOffset(b arrow.Record, from int64) arrow.Record {
	column, ok := b.Column(b.Schema().FieldIndices(columns.Offset)[0]).(*array.Int64)
	if !ok {
		return nil // cannot be: the builders make this column an Int64
	}
	offsets := column.Int64Values()
	first := sort.Search(len(offsets), func(i int) bool { return offsets[i] >= from })
	if first == len(offsets) {
		return nil
	}
	return b.NewSlice(int64(first), b.NumRows())
}

func retain(batches []arrow.Record) {
	for _, b := range batches {
		b.Retain()
	}
}

func release(batches []arrow.Record) {
	for _, b := range batches {
		b.Release()
	}
}
