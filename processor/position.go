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
	flushRows  = 8192                   // rows that become a batch without anybody asking
	flushEvery = 100 * time.Millisecond // how old the position of an answer may be: batches of a few rows cost more than they hold
	batchBytes = 16 << 10               // what a batch costs beside its rows
)

// held is the rows of one shard that an answer may need: those gathered since
// the last cut, those of the cut that is being committed, and those of the cut
// before, for planners that have loaded the lake just before it changed. The
// shard's worker writes it; anybody may ask for the tail. Batches are
// immutable; the rows since the last batch become one when somebody asks.
type held struct {
	shard int32
	epoch int64 // of the lease

	mu      sync.Mutex       // guards what follows
	rows    *columns.Builder // of the open piece, not in a batch yet
	changes *columns.ChangeBuilder
	pieces  []piece // oldest first, without gaps; the last one is open. None: the shard is not taken over, or given up
	at      position
	shown   position // what the batches reach to
	flushed time.Time
	begun   time.Time
	first   int64 // of the shard: before it there never was anything
	base    int64 // our offsets are this much more than those of the log
	asked   logEnd
}

// logEnd is where the log ended at a time.
type logEnd struct {
	next int64 // in our offsets
	at   int64 // epoch milliseconds
}

// piece is the rows of one cut.
type piece struct {
	from    int64          // offset at which it starts
	batches []arrow.Record // of events
	changes []arrow.Record
	bytes   int64
}

func (p *piece) release() {
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

// begin makes the shard answer, from nothing held at s.
func (h *held) begin(mem memory.Allocator, s lake.ShardState) {
	p := position{next: s.Next, logTime: s.LogTime}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows, h.changes = columns.NewBuilder(mem), columns.NewChangeBuilder(mem)
	h.pieces = []piece{{from: p.next}}
	h.at, h.shown, h.begun = p, p, time.Now()
	h.first, h.base, h.asked = s.First, s.Position.Base, logEnd{}
}

// end gives everything up; the shard does not answer any more.
func (h *held) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.pieces {
		p.release()
	}
	h.pieces = nil
	if h.rows != nil {
		h.rows.Release()
		h.changes.Release()
		h.rows, h.changes = nil, nil
	}
}

// logEnds says that the log, in its own offsets, ended at end when a fetch saw
// it; or, where `at` is not zero, was seen to end there by who asked at that
// time. A fetch may have waited for us, nobody knows how long.
func (h *held) logEnds(end int64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pieces == nil {
		return
	}
	h.at.end = end + h.base
	if !at.IsZero() {
		h.asked = logEnd{next: h.at.end, at: at.UnixMilli()}
	}
	h.read()
}

// read notes that all of the log as it was at a time is gathered. The lock is
// held by the caller.
func (h *held) read() {
	if h.at.next >= h.asked.next {
		h.at.readAt = h.asked.at
	}
}

// moved says how far the rows in h.rows reach now. The lock is held by the
// caller.
func (h *held) moved(next, logTime int64) {
	h.at.next, h.at.logTime = next, logTime
	h.read()
	if h.rows.Len() >= flushRows || h.changes.Len() >= flushRows {
		h.show()
	}
}

// show makes batches of the rows since the last ones, and all that was gathered
// a part of the next answers. The lock is held by the caller.
func (h *held) show() {
	open := &h.pieces[len(h.pieces)-1]
	if h.rows.Len() > 0 {
		open.bytes += h.rows.Bytes() + batchBytes
		open.batches = append(open.batches, h.rows.Batch())
		h.flushed = time.Now()
	}
	if h.changes.Len() > 0 {
		open.bytes += h.changes.Bytes() + batchBytes
		open.changes = append(open.changes, h.changes.Batch())
		h.flushed = time.Now()
	}
	h.shown = h.at
}

// bytes is the memory of the open piece.
func (h *held) bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows == nil {
		return 0
	}
	return h.pieces[len(h.pieces)-1].bytes + h.rows.Bytes() + h.changes.Bytes()
}

// seal ends the open piece and begins another. The caller releases the batches
// it gets.
func (h *held) seal() (rows, changes []arrow.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.show()
	open := &h.pieces[len(h.pieces)-1]
	rows, changes = slices.Clone(open.batches), slices.Clone(open.changes)
	retain(rows)
	retain(changes)
	h.pieces = append(h.pieces, piece{from: h.at.next})
	return rows, changes
}

// committed drops what came before the cut that ends where the open piece
// starts: that cut stays for one cut more.
func (h *held) committed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.pieces) > 2 {
		h.pieces[0].release()
		h.pieces = slices.Delete(h.pieces, 0, 1)
	}
}

// position is how far the shard is, and since when it answers: zero if it does
// not.
func (h *held) position() (position, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pieces == nil {
		return position{}, time.Time{}
	}
	return h.at, h.begun
}

// tail is what is held from offset `from` on.
func (h *held) tail(from int64) (tail.Part, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pieces == nil {
		return tail.Part{}, tail.ErrNotOwner
	}
	if h.rows.Len()+h.changes.Len() == 0 || time.Since(h.flushed) >= flushEvery {
		h.show()
	}
	if from > h.shown.next {
		return tail.Part{}, tail.ErrBehind
	}
	if from < h.pieces[0].from && h.pieces[0].from > h.first {
		return tail.Part{}, tail.ErrGone
	}
	part := tail.Part{
		Shard: h.shard, Epoch: h.epoch, From: from,
		Next: h.shown.next, LogTime: h.shown.logTime, ReadAt: h.shown.readAt, End: max(h.shown.end, h.shown.next),
	}
	for _, p := range h.pieces {
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
