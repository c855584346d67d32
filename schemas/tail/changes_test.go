package tail

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

// changesOwner is an owner that also holds changes of clients.
type changesOwner struct{ *owner }

// changeAt returns the change of changesOwner at an offset.
func changeAt(shard int32, offset int64) lake.Change {
	return lake.Change{
		Change: schemas.Change{
			Product: 1 + offset%3, Client: 1 + offset%7, Time: 1e12, Kind: schemas.PropertyChange, Operation: schemas.OpSet,
			Values: fmt.Appendf(nil, `{"n":%d}`, offset),
		},
		Shard: shard, Offset: offset, Arrival: 2e12 + offset,
	}
}

func (o changesOwner) Tail(shard int32, from int64) (Part, error) {
	p, err := o.owner.Tail(shard, from)
	if err != nil {
		return p, err
	}
	for offset := o.first[shard]; offset < p.Next; offset += 100 {
		b := columns.NewChangeBuilder(o.mem)
		for at := offset; at < min(offset+100, p.Next); at += 2 {
			c := changeAt(shard, at)
			b.Append(&c.Change, columns.Position{Shard: shard, Offset: c.Offset, Arrival: c.Arrival})
		}
		p.Changes = append(p.Changes, b.Batch())
		b.Release()
	}
	return p, nil
}

func changesIn(t *testing.T, recs []arrow.Record) []lake.Change {
	t.Helper()
	var out []lake.Change
	all := lake.ChangesOf(func(yield func(arrow.Record, error) bool) {
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
		}
	})
	for c, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, *c)
	}
	return out
}

// TestFetchChanges checks that changes are returned if requested, equal over the wire
// and in process, and never among the events.
func TestFetchChanges(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	o := changesOwner{randomOwner(rand.New(rand.NewPCG(5, 1)), mem, 2, 300)}
	addr := serve(t, o, secret)
	c := newTestClient(t, Config{Secret: secret, Allocator: mem})
	req := Request{
		From: map[int32]int64{0: 151, 1: 100}, Columns: wantedColumns(), Changes: true,
		Filter: columns.Filter{Products: []int64{2}, Clients: []int64{1, 2, 3}, TimeFrom: 5, TimeTo: 6, OffsetTo: map[int32]int64{1: 400}},
	}
	parts, err := c.Fetch(t.Context(), addr, req)
	if err != nil {
		t.Fatal(err)
	}
	defer release(parts)
	for i := range parts {
		p := &parts[i]
		var want []lake.Change
		for offset := int64(100); offset < p.Next; offset += 2 {
			change := changeAt(p.Shard, offset)
			if offset >= req.From[p.Shard] && change.Product == 2 && change.Client <= 3 && (p.Shard == 0 || offset < 400) {
				want = append(want, change)
			}
		}
		if diff := cmp.Diff(want, changesIn(t, p.Changes)); diff != "" || len(want) < 10 {
			t.Errorf("shard %d, %d wanted (-want +got):\n%s", p.Shard, len(want), diff)
		}
		if diff := cmp.Diff(o.want(p.Shard, req), rowsOf(t, p.Rows)); diff != "" {
			t.Errorf("events of shard %d (-want +got):\n%s", p.Shard, diff)
		}
		var narrowed []lake.Change
		for rec, err := range p.SelectChanges(columns.Filter{OffsetFrom: map[int32]int64{p.Shard: 300}}, mem) {
			if err != nil {
				t.Fatal(err)
			}
			narrowed = append(narrowed, changesIn(t, []arrow.Record{rec})...)
		}
		var late []lake.Change
		for _, change := range want {
			if change.Offset >= 300 {
				late = append(late, change)
			}
		}
		if diff := cmp.Diff(late, narrowed); diff != "" {
			t.Errorf("selected of shard %d (-want +got):\n%s", p.Shard, diff)
		}
	}
	req.Changes = false
	without, err := c.Fetch(t.Context(), addr, req)
	if err != nil {
		t.Fatal(err)
	}
	defer release(without)
	for _, p := range without {
		if len(p.Changes) > 0 {
			t.Errorf("shard %d: changes that were not requested", p.Shard)
		}
	}
}

// TestChangesOfAnotherSchemaAreRefused matters because readers of changes access
// columns by position.
func TestChangesOfAnotherSchemaAreRefused(t *testing.T) {
	o := randomOwner(rand.New(rand.NewPCG(6, 1)), memory.DefaultAllocator, 1, 5)
	p, err := o.Tail(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	p.From = 100
	defer p.Release()
	check := func(kind uint32, want error) {
		t.Helper()
		var body bytes.Buffer
		frames := &frameWriter{w: &body}
		if err := errors.Join(frames.writeHeader(partHeaders([]Part{p})), frames.writeBatch(kind, p.Rows[0]), frames.writeEnd()); err != nil {
			t.Fatal(err)
		}
		parts, err := newTestClient(t, Config{}).read(&body, Request{From: map[int32]int64{0: 100}})
		if !errors.Is(err, want) {
			t.Errorf("a frame of kind %d: %v, want %v", kind, err, want)
		}
		release(parts)
	}
	check(0, nil)
	check(changesFrame, ErrCorrupt)
	check(changesFrame+1, ErrCorrupt) // of a part that there is none
}
