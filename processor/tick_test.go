package processor

import (
	"testing"
	"time"

	"weir/schemas/lake"
)

func TestQuietShardTicksPastMidnight(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		time.Sleep(11*time.Hour + 50*time.Minute)
		p := w.start("p", Config{})
		defer p.stopAndWait()
		w.post(0, "a")
		time.Sleep(2 * time.Minute)
		before := w.shardStates(lake.Events)[0]
		time.Sleep(20 * time.Minute)
		after := w.shardStates(lake.Events)[0]
		if after.LogTime/dayMS != before.LogTime/dayMS+1 || after.Counters.Control != before.Counters.Control+1 {
			t.Errorf("a day later: %+v, before %+v; want log time of the next day by one tick", after, before)
		}
	})
}
