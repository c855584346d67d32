package view

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/tail"
)

// View is what one answer is made of: one snapshot of `events` and the tail
// that each owner held from there on. It does not change once Plan has returned
// it; from then on it belongs to one goroutine, which closes it.
type View struct {
	lake    *lake.Lake
	tail    *tail.Client
	metrics *metrics
	snap    *lake.Snapshot
	unpin   []func() // of the snapshots that it reads
	files   []lake.DataFile
	filter  columns.Filter // the owners selected the rows of parts by it

	rollups map[lake.Table]tableState // that were requested; never ahead of snap
	changes tableState                // client_changes, if it was requested; never behind snap
	columns []string                  // of the tail's rows; gather reads the events that rollups lack by them

	optOuts         *optOutFacts // of the reader
	reportedOptOuts *bool        // what OptOuts.Reported returned; nil before

	gathered     *rollup.Set     // what rollups that end at gatheredFrom lack; nil until it is gathered
	gatheredFrom map[int32]int64 // per shard, the first offset of gathered

	watermark Watermark // of every shard
	asOf      time.Time // zero if it is not known
	partial   []int32   // shards that are not included as far as wanted, ascending

	mu      sync.Mutex       // guards the fields below while owners are asked
	parts   []tail.Part      // one for each shard whose owner answered
	holders map[int32]string // address of the owner of each part
	known   map[int32]int64  // per shard, the time up to which watermark includes it; epoch milliseconds
	backlog map[int32]bool   // shards whose owner has not gathered its whole log
	moved   error            // an owner had dropped what was requested, or had lost its shard
	next    map[int32]int64  // per shard, where `events` ends
}

// tableState is one snapshot of a table beside `events`.
type tableState struct {
	snap  *lake.Snapshot
	files []lake.DataFile
	next  map[int32]int64 // per shard, the first offset that is not in it
}

// Coverage says what an answer includes.
type Coverage struct {
	Watermark string    // as Watermark.String writes it
	AsOf      time.Time // every event that arrived before is included; zero if that is not known
	Partial   []int32   // shards that are not included as far as wanted, ascending
}

// newView returns a view of what is committed, without tails. shards is the
// number of shards, 0 if that is not known yet.
func (r *Reader) newView(snap *lake.Snapshot, files []lake.DataFile, shards int) *View {
	v := &View{
		lake: r.lake, tail: r.tail, metrics: r.metrics, optOuts: &r.optOuts, snap: snap, files: files,
		watermark: Watermark{}, holders: map[int32]string{}, known: map[int32]int64{}, next: map[int32]int64{},
		backlog: map[int32]bool{},
	}
	for shard := range shards {
		v.watermark[int32(shard)] = 0
		v.known[int32(shard)] = unknown // of what is not in the lake only the owner knows
	}
	for shard, state := range snap.ShardStates() {
		v.watermark[shard] = state.Next
		v.next[shard] = state.Next
		if v.known[shard] = state.LogTime; state.LogTime == 0 {
			v.known[shard] = unknown
		}
	}
	return v
}

// pin keeps the files of a snapshot until the view is closed.
func (v *View) pin(s *lake.Snapshot) { v.unpin = append(v.unpin, s.Pin()) }

// Close releases the batches of the tail, and the files of the lake.
func (v *View) Close() {
	for _, unpin := range v.unpin {
		unpin()
	}
	v.unpin = nil
	for i := range v.parts {
		v.parts[i].Release()
	}
	v.parts = nil
}

// Watermark returns, per shard, the next offset that the view does not include.
// The caller must not change it.
func (v *View) Watermark() Watermark { return v.watermark }

// Coverage says what the view includes.
func (v *View) Coverage() Coverage {
	return Coverage{Watermark: v.watermark.String(), AsOf: v.asOf, Partial: v.partial}
}

// addOwner adds the parts that the owner at addr sent for its shards, rows.
func (v *View) addOwner(addr string, rows []registry.OwnerRow, parts []tail.Part, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.metrics.fetched.WithLabelValues("failed").Add(float64(len(rows)))
		return
	}
	epochs := map[int32]int64{}
	for _, row := range rows {
		epochs[row.Shard] = row.Epoch
	}
	for _, p := range parts {
		outcome := v.addPart(addr, p, epochs[p.Shard])
		v.metrics.fetched.WithLabelValues(outcome).Inc()
	}
}

// addPart adds p, unless it must not count, and returns the outcome. An owner
// with an epoch older than the registry's was fenced off: another process may
// have decided otherwise about the same records. An owner behind the lake would
// lower the watermark below what is committed.
func (v *View) addPart(addr string, p tail.Part, epoch int64) string {
	switch {
	case errors.Is(p.Err, tail.ErrBehind):
		return "behind"
	case errors.Is(p.Err, tail.ErrGone):
		v.moved = p.Err
		return "gone"
	case p.Err != nil:
		v.moved = cmp.Or(v.moved, p.Err)
		return "not_owner"
	case p.Epoch < epoch:
		p.Release()
		v.moved = cmp.Or(v.moved, tail.ErrNotOwner)
		return "stale"
	}
	v.parts = append(v.parts, p)
	v.holders[p.Shard] = addr
	v.watermark[p.Shard] = p.Next
	v.backlog[p.Shard] = p.End > p.Next
	if known := max(p.LogTime, p.ReadAt); known > 0 || !v.backlog[p.Shard] {
		v.known[p.Shard] = max(v.known[p.Shard], known)
	}
	return "ok"
}

// laggingShards lists the existing shards that the view does not include as far
// as want.
func (v *View) laggingShards(want Watermark) []int32 {
	var shards []int32
	for shard, next := range want {
		if have, exists := v.watermark[shard]; exists && have < next {
			shards = append(shards, shard)
		}
	}
	return shards
}

// fix sets the final watermark: where req wants exactly an older one, the view
// is narrowed to that; where the view is older than wanted, it is marked
// partial.
func (v *View) fix(req Request) {
	for shard, next := range v.watermark {
		want, named := req.Watermark[shard]
		_, answered := v.holders[shard]
		exact := req.Exact && named
		switch {
		case exact && want < next:
			v.watermark[shard] = want
			v.known[shard] = knownBelow(v.files, shard, want)
		case exact && want == next:
		case want > next || !answered || v.backlog[shard]:
			v.partial = append(v.partial, shard)
		}
	}
	for shard := range req.Watermark {
		if _, exists := v.watermark[shard]; !exists {
			v.partial = append(v.partial, shard)
		}
	}
	slices.Sort(v.partial)
	v.asOf = v.oldestKnown()
}

// unknown marks a shard for which no time is known up to which it is included. 0 marks
// one whose owner says that its log is empty.
const unknown = -1

// knownBelow returns a time up to which shard is known to be included below
// offset end: the newest arrival in a data file that lies wholly below it. It is
// a lower bound.
func knownBelow(files []lake.DataFile, shard int32, end int64) int64 {
	newest := int64(unknown)
	for _, f := range files {
		if f.Shard == shard && f.Max.Offset < end {
			newest = max(newest, f.Max.Arrival)
		}
	}
	return newest
}

// oldestKnown returns the smallest known time over shards. It is zero if one
// shard's time is unknown, or if no shard was ever written to.
func (v *View) oldestKnown() time.Time {
	var oldest int64
	for _, ms := range v.known {
		switch {
		case ms == unknown:
			return time.Time{}
		case ms > 0 && (oldest == 0 || ms < oldest):
			oldest = ms
		}
	}
	if oldest == 0 {
		return time.Time{}
	}
	return time.UnixMilli(oldest).UTC()
}
