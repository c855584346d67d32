package processor

import (
	"fmt"
	"testing"
)

func TestFairSharesSumToShards(t *testing.T) {
	for processes := 1; processes <= 7; processes++ {
		for shards := 1; shards <= 20; shards++ {
			var alive []string
			for p := range processes {
				alive = append(alive, fmt.Sprint("p", p))
			}
			sum, least, most := 0, shards, 0
			for _, id := range alive {
				share := fairShare(alive, id, shards)
				sum, least, most = sum+share, min(least, share), max(most, share)
			}
			if sum != shards || most-least > 1 {
				t.Errorf("%d shards for %d: sum %d, from %d to %d", shards, processes, sum, least, most)
			}
		}
	}
	if got := fairShare([]string{"b"}, "a", 4); got != 2 {
		t.Errorf("share of one whose heartbeat is not seen yet = %d, want 2", got)
	}
}
