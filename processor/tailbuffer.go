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
	publishRows   = 8192                   // rows that become a batch without anybody asking
	publishEvery  = 100 * time.Millisecond // how old the position of an answer may be: batches of a few rows cost more than they hold
	batchOverhead = 16 << 10               // what a batch costs beside its rows
)

// tailBuffer is the rows of one shard that an answer may need: those gathered since
// the last cut, those of the cut that is being committed, and those of the cut
// before, for planners that have loaded the lake just before it changed. The
// shard's worker writes it; anybody may ask for the tail. Batches are
// immutable; the rows since the last batch become one when somebody asks.
type tailBuffer struct {
	shard int32
	epoch int64 // of the lease

	mu          sync.Mutex       // guards what follows
	rows        *columns.Builder // of the open piece, not in a batch yet
	changes     *columns.ChangeBuilder
	cuts        []bufferedCut // oldest first, without gaps; the last one is open. None: the shard is not taken over, or given up
	gathered    position
	published   position // what the batches reach to
	publishedAt time.Time
	startedAt   time.Time
	first       int64 // of the shard: before it there never was anything
	base        int64 // our offsets are this much more than those of the log
	listedEnd   logEnd
}

// logEnd is where the log ended at a time.
type logEnd struct {
	next int64 // in our offsets
	at   int64 // epoch milliseconds
}

// bufferedCut is the rows of one cut.
type bufferedCut struct {
	from    int64          // offset at which it starts
	batches []arrow.Record // of events
	changes []arrow.Record
	bytes   int64
}

func (p *bufferedCut) release() {
	release(p.batches)
	release(p.changes)
}

// position is how far a shard has been gathered.
type position struct {
	next    int64 // first offset without a verdict
	logTime int64 // epoch milliseconds
	end     int64 // of the log, as last seen; 0: not seen yet
	readAt  int64 // what was in the log at this time lies before next; epoch milliseconds; 0: not known
}

// start makes the shard answer, from nothing held at s.
func (h *tailBuffer) start(mem memory.Allocator, s lake.ShardState) {
	p := position{next: s.Next, logTime: s.LogTime}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows, h.changes = columns.NewBuilder(mem), columns.NewChangeBuilder(mem)
	h.cuts = []bufferedCut{{from: p.next}}
	h.gathered, h.published, h.startedAt = p, p, time.Now()
	h.first, h.base, h.listedEnd = s.First, s.Position.Base, logEnd{}
}

// stop gives everything up; the shard does not answer any more.
func (h *tailBuffer) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.cuts {
		p.release()
	}
	h.cuts = nil
	if h.rows != nil {
		h.rows.Release()
		h.changes.Release()
		h.rows, h.changes = nil, nil
	}
}

// setLogEnd says that the log, in its own offsets, ended at end when a fetch saw
// it; or, where `at` is not zero, was seen to end there by who asked at that
// time. A fetch may have waited for us, nobody knows how long.
func (h *tailBuffer) setLogEnd(end int64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cuts == nil {
		return
	}
	h.gathered.end = end + h.base
	if !at.IsZero() {
		h.listedEnd = logEnd{next: h.gathered.end, at: at.UnixMilli()}
	}
	h.updateReadAt()
}

// updateReadAt notes that all of the log as it was at a time is gathered. The lock is
// held by the caller.
func (h *tailBuffer) updateReadAt() {
	if h.gathered.next >= h.listedEnd.next {
		h.gathered.readAt = h.listedEnd.at
	}
}

// advanceTo says how far the rows in h.rows reach now. The lock is held by the
// caller.
func (h *tailBuffer) advanceTo(next, logTime int64) {
	h.gathered.next, h.gathered.logTime = next, logTime
	h.updateReadAt()
	if h.rows.Len() >= publishRows || h.changes.Len() >= publishRows {
		h.publish()
	}
}

// publish makes batches of the rows since the last ones, and all that was gathered
// a part of the next answers. The lock is held by the caller.
func (h *tailBuffer) publish() {
	open := &h.cuts[len(h.cuts)-1]
	if h.rows.Len() > 0 {
		open.bytes += h.rows.Bytes() + batchOverhead
		open.batches = append(open.batches, h.rows.Batch())
		h.publishedAt = time.Now()
	}
	if h.changes.Len() > 0 {
		open.bytes += h.changes.Bytes() + batchOverhead
		open.changes = append(open.changes, h.changes.Batch())
		h.publishedAt = time.Now()
	}
	h.published = h.gathered
}

// bytes is the memory of the open piece.
func (h *tailBuffer) bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows == nil {
		return 0
	}
	return h.cuts[len(h.cuts)-1].bytes + h.rows.Bytes() + h.changes.Bytes()
}

// seal ends the open piece and begins another. The caller releases the batches
// it gets.
func (h *tailBuffer) seal() (rows, changes []arrow.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.publish()
	open := &h.cuts[len(h.cuts)-1]
	rows, changes = slices.Clone(open.batches), slices.Clone(open.changes)
	retain(rows)
	retain(changes)
	h.cuts = append(h.cuts, bufferedCut{from: h.gathered.next})
	return rows, changes
}

// dropCommitted drops what came before the cut that ends where the open piece
// starts: that cut stays for one cut more.
func (h *tailBuffer) dropCommitted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.cuts) > 2 {
		h.cuts[0].release()
		h.cuts = slices.Delete(h.cuts, 0, 1)
	}
}

// position is how far the shard is, and since when it answers: zero if it does
// not.
func (h *tailBuffer) position() (position, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cuts == nil {
		return position{}, time.Time{}
	}
	return h.gathered, h.startedAt
}

// tail is what is held from offset `from` on.
func (h *tailBuffer) tail(from int64) (tail.Part, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cuts == nil {
		return tail.Part{}, tail.ErrNotOwner
	}
	if h.rows.Len()+h.changes.Len() == 0 || time.Since(h.publishedAt) >= publishEvery {
		h.publish()
	}
	if from > h.published.next {
		return tail.Part{}, tail.ErrBehind
	}
	if from < h.cuts[0].from && h.cuts[0].from > h.first {
		return tail.Part{}, tail.ErrGone
	}
	part := tail.Part{
		Shard: h.shard, Epoch: h.epoch, From: from,
		Next: h.published.next, LogTime: h.published.logTime, ReadAt: h.published.readAt, End: max(h.published.end, h.published.next),
	}
	for _, p := range h.cuts {
		part.Rows = appendFrom(part.Rows, p.batches, from)
		part.Changes = appendFrom(part.Changes, p.changes, from)
	}
	return part, nil
}

// appendFrom appends those parts of batches that lie at and past an offset,
// retained.
func appendFrom(dst, batches []arrow.Record, from int64) []arrow.Record {
	for _, b := range batches {
		if b = fromOffset(b, from); b != nil {
			dst = append(dst, b)
		}
	}
	return dst
}

// fromOffset is the part of b at and past an offset, retained; nil if none is.
func fromOffset(b arrow.Record, from int64) arrow.Record {
	column, ok := b.Column(b.Schema().FieldIndices(columns.Offset)[0]).(*array.Int64)
	if !ok {
		return nil // no batch of columns is like that
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
