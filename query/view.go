package query

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/tail"
)

// errMoved is for rows of the tail that their owner cannot give any more: the
// question must be planned anew.
var errMoved = errors.New("owner no longer has what the plan saw")

// view is what one answer is made of: one snapshot of `events` and what each
// owner held from there on. It never says anything else once plan has returned
// it, and belongs to one goroutine then.
type view struct {
	service *Service
	lake    *lake.Lake

	snap   *lake.Snapshot
	files  []lake.DataFile
	filter columns.Filter // the rows of parts are of this filter

	rollups map[lake.Table]rollupTable // that were asked for; never ahead of snap
	columns []string                   // of the tail's rows; what rollups lack is gathered from them

	rolled     *rollup.Set     // what rollups lack, once it was gathered: see gather
	rolledFrom map[int32]int64 // of rollups that end here
	said       rollupTable     // client_changes, if it was asked for; never behind snap

	watermark watermark // of every shard there is
	asOf      time.Time // see the package comment; zero when no shard counts
	complete  bool      // nothing in partial
	partial   []int32   // shards that could not be taken as far as wanted, ascending

	mu      sync.Mutex       // guards what follows while owners are asked
	parts   []tail.Part      // one for each owner's shard that answered
	holders map[int32]string // address of the owner of each part
	known   map[int32]int64  // per shard, the time up to which watermark includes it; epoch milliseconds
	backlog map[int32]bool   // shards whose owner has more of the log to gather
	moved   error            // an owner had dropped what was asked for, or was none
	next    map[int32]int64  // per shard, where `events` ends
}

// newView is a view of what is committed. shards is how many there are, 0 when
// that is not known yet.
func newView(s *Service, snap *lake.Snapshot, files []lake.DataFile, shards int) *view {
	v := &view{
		service: s, lake: s.deps.Lake, snap: snap, files: files,
		watermark: watermark{}, holders: map[int32]string{}, known: map[int32]int64{}, next: map[int32]int64{},
		backlog: map[int32]bool{},
	}
	for shard := range shards {
		v.watermark[int32(shard)] = 0
	}
	for shard, state := range snap.ShardStates() {
		v.watermark[shard] = state.Next
		v.next[shard] = state.Next
		v.known[shard] = state.LogTime
	}
	return v
}

// close lets go of the tail.
func (v *view) close() {
	for i := range v.parts {
		v.parts[i].Release()
	}
	v.parts = nil
}

// lakeNext is the first offset of shard that is not in the lake.
func (v *view) lakeNext(shard int32) int64 { return v.next[shard] }

// add takes what the owner at addr said of its shards, rows.
func (v *view) add(addr string, rows []registry.OwnerRow, parts []tail.Part, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.service.metrics.asked.WithLabelValues("failed").Add(float64(len(rows)))
		return
	}
	epochs := map[int32]int64{}
	for _, row := range rows {
		epochs[row.Shard] = row.Epoch
	}
	for _, p := range parts {
		outcome := v.addPart(addr, p, epochs[p.Shard])
		v.service.metrics.asked.WithLabelValues(outcome).Inc()
	}
}

// addPart uses p, or says why not. An owner of an epoch before the one that
// the registry knows is none: what it would say was decided by somebody who
// was fenced off. An owner behind the lake does not count.
func (v *view) addPart(addr string, p tail.Part, epoch int64) string {
	switch {
	case errors.Is(p.Err, tail.ErrBehind):
		return "behind"
	case errors.Is(p.Err, tail.ErrGone):
		v.moved = p.Err
		return "gone"
	case p.Err != nil:
		v.moved = cmpErr(v.moved, p.Err)
		return "not_owner"
	case p.Epoch < epoch:
		p.Release()
		v.moved = cmpErr(v.moved, tail.ErrNotOwner)
		return "stale"
	}
	v.parts = append(v.parts, p)
	v.holders[p.Shard] = addr
	v.watermark[p.Shard] = p.Next
	v.known[p.Shard] = max(v.known[p.Shard], p.LogTime, p.ReadAt)
	v.backlog[p.Shard] = p.End > p.Next
	return "ok"
}

func cmpErr(first, other error) error {
	if first != nil {
		return first
	}
	return other
}

// short lists the shards, of those that exist, in which the view is short of
// want.
func (v *view) short(want watermark) []int32 {
	var shards []int32
	for shard, next := range want {
		if have, exists := v.watermark[shard]; exists && have < next {
			shards = append(shards, shard)
		}
	}
	return shards
}

// mark fixes the watermark: cut back where q wants exactly an older one, and
// marked where it is not as new as q wants.
func (v *view) mark(q question) {
	for shard, next := range v.watermark {
		want, named := q.watermark[shard]
		_, answered := v.holders[shard]
		exact := q.exact && named
		switch {
		case exact && want < next:
			v.watermark[shard] = want
			v.known[shard] = v.knownBelow(shard, want)
		case exact && want == next:
		case want > next || !answered || v.backlog[shard]:
			v.partial = append(v.partial, shard)
		}
	}
	for shard := range q.watermark {
		if _, exists := v.watermark[shard]; !exists {
			v.partial = append(v.partial, shard)
		}
	}
	slices.Sort(v.partial)
	v.complete = len(v.partial) == 0
	v.asOf = v.oldest()
}

// unknown is for a shard of which no time is known up to which it is included.
const unknown = -1

// knownBelow is a time up to which shard is known to be included below offset
// end: the newest arrival of the data files that lie below it.
func (v *view) knownBelow(shard int32, end int64) int64 {
	newest := int64(unknown)
	for _, f := range v.files {
		if f.Shard == shard && f.Max.Offset < end {
			newest = max(newest, f.Max.Arrival)
		}
	}
	return newest
}

// oldest is zero if a shard's time is unknown, or if no shard counts.
func (v *view) oldest() time.Time {
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
	return msTime(oldest)
}

// events yields the events of f below the watermark, of the lake and of the
// tail, in no order, as batches of the named columns. For the tail, columns
// must be among those of the question, and f no wider than its filter. A batch
// is valid until the next one is asked for.
func (v *view) events(ctx context.Context, names []string, f columns.Filter) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		if v.fromLake(ctx, names, v.below(f), yield) {
			v.fromTail(ctx, names, f, yield)
		}
	}
}

// below narrows f to the watermark, where that lies below the end of the lake.
func (v *view) below(f columns.Filter) columns.Filter {
	var cut map[int32]int64
	for shard, next := range v.watermark {
		if next >= v.lakeNext(shard) {
			continue
		}
		if cut == nil {
			cut = maps.Clone(f.OffsetTo)
		}
		if cut == nil {
			cut = map[int32]int64{}
		}
		cut[shard] = next
		if to, ok := f.OffsetTo[shard]; ok {
			cut[shard] = min(to, next)
		}
	}
	if cut != nil {
		f.OffsetTo = cut
	}
	return f
}

// fromLake reports whether more is wanted and nothing failed.
func (v *view) fromLake(ctx context.Context, names []string, f columns.Filter, yield func(arrow.Record, error) bool) bool {
	rows := v.service.metrics.scanned.WithLabelValues("lake")
	for rec, err := range v.lake.ScanEvents(ctx, lake.Prune(v.files, f), names, f) {
		if err != nil {
			yield(nil, fmt.Errorf("scan events: %w", err))
			return false
		}
		rows.Add(float64(rec.NumRows()))
		if !yield(rec, nil) {
			return false
		}
	}
	return true
}

func (v *view) fromTail(ctx context.Context, names []string, f columns.Filter, yield func(arrow.Record, error) bool) {
	rows := v.service.metrics.scanned.WithLabelValues("tail")
	f = v.residual(f)
	for i := range v.parts {
		p := &v.parts[i]
		for rec, err := range p.Select(names, v.upTo(p.Shard, f), memory.DefaultAllocator) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, fmt.Errorf("scan tail of shard %d: %w", p.Shard, err))
				return
			}
			rows.Add(float64(rec.NumRows()))
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// residual is what of f the owners have not seen to already.
func (v *view) residual(f columns.Filter) columns.Filter {
	if v.filter.Products != nil && slices.Equal(f.Products, v.filter.Products) {
		f.Products = nil
	}
	if v.filter.Clients != nil && slices.Equal(f.Clients, v.filter.Clients) {
		f.Clients = nil
	}
	if f.TimeFrom == v.filter.TimeFrom && f.TimeTo == v.filter.TimeTo {
		f.TimeFrom, f.TimeTo = 0, 0
	}
	if f.ArrivalFrom == v.filter.ArrivalFrom && f.ArrivalTo == v.filter.ArrivalTo {
		f.ArrivalFrom, f.ArrivalTo = 0, 0
	}
	return f
}

// upTo narrows f to the watermark of one shard.
func (v *view) upTo(shard int32, f columns.Filter) columns.Filter {
	end := v.watermark[shard]
	if to, ok := f.OffsetTo[shard]; ok {
		end = min(end, to)
	}
	f.OffsetTo = map[int32]int64{shard: end}
	return f
}

// tailRows asks the owners again, for single rows of the tail and other columns
// of them. errMoved: the question must be planned anew, as one of them is not
// the owner any more or has dropped what it held. The caller releases the parts.
func (v *view) tailRows(ctx context.Context, names []string, offsets map[int32][]int64) ([]tail.Part, error) {
	byAddr := map[string]map[int32]int64{}
	for shard := range offsets {
		addr := v.holders[shard]
		if byAddr[addr] == nil {
			byAddr[addr] = map[int32]int64{}
		}
		byAddr[addr][shard] = v.lakeNext(shard)
	}
	var all []tail.Part
	for addr, from := range byAddr {
		parts, err := v.service.deps.Tail.Fetch(ctx, addr, tail.Request{From: from, Rows: offsets, Columns: names})
		all = append(all, parts...)
		if err = v.still(parts, err); err != nil {
			for i := range all {
				all[i].Release()
			}
			return nil, err
		}
	}
	return all, nil
}

// still holds a second answer of an owner to the first.
func (v *view) still(parts []tail.Part, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	for _, p := range parts {
		if p.Err != nil {
			return fmt.Errorf("%w: shard %d: %w", errMoved, p.Shard, p.Err)
		}
		if p.Next < v.watermark[p.Shard] {
			return fmt.Errorf("%w: shard %d is at %d", errMoved, p.Shard, p.Next)
		}
	}
	return nil
}
