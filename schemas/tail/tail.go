// Package tail lets a query process fetch from the owner of a shard the events
// that are acknowledged but not yet in the lake: Arrow IPC over HTTP, between
// processes that share the cluster's secret.
//
// A response holds for each shard one position: the stored events with
// From ≤ offset < Next and the changes of clients in the same range, or the reason
// why the owner has none (ErrBehind, ErrGone, ErrNotOwner). Only what the request
// selects (filter, columns, single offsets) crosses the wire, in frames of bounded
// size with a checksum each. A response that is cut short is an error and never a
// smaller response.
//
// An owner that has not yet consumed its log to the end delays the response for a
// moment, and then reports by Part.End that it has a backlog.
//
// The owner's side implements Provider. Errors of one shard are in its Part; an
// error of the wire fails the whole response. Processes of two releases talk to
// each other during a rolling upgrade, so the bytes of requests and responses must
// not change.
package tail

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// Path is the URL path of the endpoint that Handler serves.
const Path = "/tail"

// Reasons why an owner returns no rows of a shard, and why a request fails.
var (
	ErrBehind   = errors.New("owner is behind the requested offset")      // its next offset is smaller than From
	ErrGone     = errors.New("owner has dropped the requested offset")    // its buffer starts after From
	ErrNotOwner = errors.New("not the owner of the shard")                // or no longer
	ErrDenied   = errors.New("cluster secret refused")                    // the secrets of the two processes differ
	ErrTooLarge = errors.New("tail is larger than the client's limit")    // Config.MaxBytes
	ErrCorrupt  = errors.New("tail response is damaged or was cut short") // checksum, length or end
)

// Request selects rows and changes of shards of one owner. Its encoding is
// JSON: a nil list is left out and means all, an empty one is sent and means
// none.
type Request struct {
	From    map[int32]int64   `json:"from"`             // per shard, the first offset wanted: Next of the lake, 0 where the lake has no state of the shard
	Rows    map[int32][]int64 `json:"rows,omitzero"`    // per shard, the only offsets wanted, ascending; nil is all
	Filter  columns.Filter    `json:"filter,omitzero"`  // rows wanted; its times do not apply to changes
	Columns []string          `json:"columns,omitzero"` // of the events table, in this order; none: no events are sent
	Changes bool              `json:"changes,omitzero"` // changes of clients are wanted too, with all their columns
}

// Part is the response for one shard.
type Part struct {
	Shard   int32
	Epoch   int64          // of the owner's lease
	From    int64          // as requested
	Next    int64          // first offset that the owner has not decided yet; exclusive end of the rows
	LogTime int64          // log time at Next; epoch milliseconds
	ReadAt  int64          // everything in the log at this time lies before Next; epoch milliseconds; 0 if unknown
	End     int64          // end of the log as the owner knew it when the request came; the owner has a backlog if it is after Next; 0 if unknown
	Rows    []arrow.Record // stored events From ≤ offset < Next, in any order; the receiver of the Part releases them
	Changes []arrow.Record // changes of clients From ≤ offset < Next, with columns.ChangeSchema; Rows never has them
	Err     error          // ErrBehind, ErrGone or ErrNotOwner; then only Shard and From are set
}

// Release frees the rows and changes.
func (p *Part) Release() {
	for _, rec := range p.Rows {
		rec.Release()
	}
	for _, rec := range p.Changes {
		rec.Release()
	}
	p.Rows, p.Changes = nil, nil
}

// Provider is implemented by the owner of shards. Tail returns without waiting
// what the owner holds of shard from offset from on, events with all columns and
// changes; Handler filters both. The rows are retained for the caller, who
// releases the Part. An owner that has held everything since the first offset of
// the shard also answers for offset 0, wherever the log starts: queries ask for it
// while the lake has no state of the shard. Tail is called from many goroutines.
type Provider interface {
	Tail(shard int32, from int64) (Part, error)
}
