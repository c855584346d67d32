// Package tail is how a query process asks the owner of a shard for the events
// that are acknowledged but not yet in the lake: Arrow IPC over HTTP, between
// processes that hold the cluster's secret.
//
// It promises that an answer is one position: for every shard the rows
// From ≤ offset < Next that are stored events, and beside them the changes of
// clients, or a reason why there are none (ErrBehind, ErrGone, ErrNotOwner).
// What is asked for only (filter, columns,
// single offsets) crosses the wire, in frames of bounded size, each with a
// checksum; an answer that is cut short is an error and never a smaller answer.
// An owner that has not gathered all of its log yet waits with its answer for a
// moment, and then says by Part.End that it is not through.
//
// It needs a Source on the owner's side and fails by error, per shard where
// the shard is to blame and for the whole answer where the wire is.
package tail

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// Path is where Handler expects its requests.
const Path = "/tail"

// Why an owner does not give the rows of a shard.
var (
	ErrBehind   = errors.New("owner is behind the offset asked for")    // its position is smaller than From
	ErrGone     = errors.New("owner has dropped the offset asked for")  // what it holds starts after From
	ErrNotOwner = errors.New("not the owner of the shard")              // or no longer
	ErrDenied   = errors.New("cluster secret refused")                  // the secrets of the two processes differ
	ErrTooLarge = errors.New("tail is larger than the asker may hold")  // Config.MaxBytes
	ErrCorrupt  = errors.New("tail answer is damaged or was cut short") // checksum, length or end
)

// Request asks one owner for its shards, all at one position. It travels as
// JSON: a nil list is left out and means all, an empty one is sent and means
// none.
type Request struct {
	From    map[int32]int64   `json:"from"`             // per shard, the first offset wanted: Next of the lake, 0 where the lake has no state of the shard
	Rows    map[int32][]int64 `json:"rows,omitzero"`    // per shard, the only offsets wanted, ascending; nil is all
	Filter  columns.Filter    `json:"filter,omitzero"`  // rows wanted; its times do not apply to changes
	Columns []string          `json:"columns,omitzero"` // of the events table, in this order; none: no events are sent
	Changes bool              `json:"changes,omitzero"` // changes of clients are wanted too, with all their columns
}

// Part is what the owner of one shard says.
type Part struct {
	Shard   int32
	Epoch   int64          // of the owner's lease
	From    int64          // as asked
	Next    int64          // first offset the owner has not passed a verdict on
	LogTime int64          // log time at Next; epoch milliseconds
	ReadAt  int64          // what was in the log at this time lies before Next; epoch milliseconds; 0 is not known
	End     int64          // of the log, as the owner knew it when it was asked; past Next: the owner has a backlog; 0 is not known
	Rows    []arrow.Record // stored events From ≤ offset < Next, in any order; whoever received the Part releases it
	Changes []arrow.Record // changes of clients From ≤ offset < Next, of columns.ChangeSchema; they never are among Rows
	Err     error          // ErrBehind, ErrGone or ErrNotOwner: nothing else is set but Shard and From
}

// Release gives the rows back.
func (p *Part) Release() {
	for _, rec := range p.Rows {
		rec.Release()
	}
	for _, rec := range p.Changes {
		rec.Release()
	}
	p.Rows, p.Changes = nil, nil
}

// Provider is the owner's side. Tail returns at once what it holds of shard from
// offset from on, with all columns, events and changes; Handler leaves out what
// lies before from or was not asked for. The rows are retained for the caller.
// An owner that has held everything since the first offset of the shard also
// answers from 0, wherever the log starts: that is what is asked while the
// lake knows nothing of the shard. It is called from many goroutines.
type Provider interface {
	Tail(shard int32, from int64) (Part, error)
}
