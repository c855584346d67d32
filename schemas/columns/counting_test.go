package columns

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
)

// TestBytesAreReal compares what builders and batches say they hold with what the
// heap has grown by.
func TestBytesAreReal(t *testing.T) {
	usual := func(i int, e *schemas.Event) {
		e.Properties = fmt.Appendf(nil, `{"language":"Go","files":%d}`, i)
	}
	for _, c := range []struct {
		name            string
		batches, perOne int
		set             func(i int, e *schemas.Event)
	}{
		{"full batches", 5, 8192, usual},
		{"a row too many", 5, 8193, usual},
		{"small batches", 80, 500, usual},
		{"long properties", 5, 4000, func(i int, e *schemas.Event) { e.Properties = fmt.Appendf(nil, `{"a":"%01000d"}`, i) }},
		{"many values in dictionaries", 3, 8000, func(i int, e *schemas.Event) {
			e.IP, e.UserAgent, e.ClientProps = fmt.Sprint("10.0.0.", i), fmt.Sprint("agent ", i), fmt.Appendf(nil, `{"prodVersion":"%d"}`, i)
		}},
	} {
		before := liveHeap()
		b := NewBuilder(memory.DefaultAllocator)
		var batches []arrow.Record
		var said int64
		for n := range c.batches {
			for i := range c.perOne {
				e := schemas.Event{
					Product: 1001, Client: int64(i + 1), Time: 1654076420772, Name: "edit", RandomID: fmt.Sprintf("33c5991a-11ef-2eb7-02b1-%012x", i),
					SessionID: fmt.Sprintf("s%05d", i%7), AppKey: "96441e4d73207a6517abfbbc",
				}
				c.set(i, &e)
				b.Append(&e, Position{Shard: 1, Offset: int64(i)})
			}
			if n < c.batches-1 { // the last ones stay in the builder
				said += b.BatchBytes()
				batches = append(batches, b.Batch())
			}
		}
		held := liveHeap() - before
		if said += b.Bytes(); said < held*85/100 || said > held*115/100 {
			t.Errorf("%s: %d KiB are said to be held, it is %d", c.name, said>>10, held>>10)
		}
		for _, rec := range batches {
			rec.Release()
		}
		b.Release()
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
