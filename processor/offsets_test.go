package processor

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"weir/schemas/lake"
	"weir/schemas/topic"
)

// TestGroupOffsetsAreCommitted checks the offsets for tools that watch lag in Kafka.
func TestGroupOffsetsAreCommitted(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: time.Second})
		w.post(0, "a", "b")
		time.Sleep(20 * time.Second)
		offsets, err := kadm.NewClient(w.producer).FetchOffsets(t.Context(), groupID)
		if o, ok := offsets.Lookup(topic.Name, 0); err != nil || !ok || o.At != 2 {
			t.Errorf("offset of group %s = %+v, %v; want 2", groupID, o, err)
		}
		p.stopAndWait()
	})
}

// TestGroupOffsetsAreNotReadBack moves the group offset, as a tool of Kafka can do,
// behind the lake and ahead of it.
func TestGroupOffsetsAreNotReadBack(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b") })
		for i, at := range []int64{0, 3, 6} {
			offsets := kadm.Offsets{}
			offsets.AddOffset(topic.Name, 0, at, -1)
			w.must(kadm.NewClient(w.producer).CommitAllOffsets(w.t.Context(), groupID, offsets))
			w.post(0, fmt.Sprint(i))
			w.start(fmt.Sprint("q", i), Config{}).stopAfter(func() { time.Sleep(2 * time.Minute) })
			w.wantCounters(0, lake.Counters{Stored: int64(3 + i)})
		}
	})
}
