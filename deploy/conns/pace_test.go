package conns

import (
	"testing"
	"time"
)

// TestPace: a peer may stop for the grace, and goes on for ever at the minimum rate.
func TestPace(t *testing.T) {
	const rate = 1000
	start := time.Now()
	p := newPace(rate, 10*time.Second)
	by, moved := p.deadline(start)
	if left := by.Sub(start); !moved || left < 10*time.Second || left > 13*time.Second {
		t.Fatalf("the first deadline is in %s, moved %v", left, moved)
	}
	if again, moved := p.deadline(start); moved || !again.Equal(by) {
		t.Error("the deadline moves without need")
	}
	now := start
	for range 1000 { // a thousand seconds at the minimum rate
		p.spend(time.Second, rate)
		now = now.Add(time.Second)
		if by, _ = p.deadline(now); by.Before(now.Add(10 * time.Second)) {
			t.Fatalf("after %s at the minimum rate there are %s left", now.Sub(start), by.Sub(now))
		}
	}
	for range 20 { // at half of it the grace is used up in 20 s
		p.spend(time.Second, rate/2)
		now = now.Add(time.Second)
	}
	if p.credit != 0 {
		t.Errorf("after 20 s at half the minimum rate there is %s of credit, want none", p.credit)
	}
	p.spend(0, 1<<30)
	if p.credit != 10*time.Second {
		t.Errorf("a burst earns %s of credit, want the grace and no more", p.credit)
	}
}
