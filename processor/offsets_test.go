package processor

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

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
