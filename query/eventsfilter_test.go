package query

import (
	"fmt"
	"strings"
	"testing"
)

// TestUserVerdictsAreBounded decides about more users than are remembered: each
// verdict stays right, and each text that fits is judged once.
func TestUserVerdictsAreBounded(t *testing.T) {
	u := &userVerdicts{known: map[string]verdict{}}
	judged := 0
	judge := func(text string) verdict {
		judged++
		return verdict(len(text) % 3)
	}
	text := func(i int) string { return fmt.Sprintf("%0*d", 1000+i%3, i) }
	const users = 2000
	for range 2 {
		for i := range users {
			if got, want := u.of(text(i), judge), verdict(len(text(i))%3); got != want {
				t.Fatalf("user %d: %d, want %d", i, got, want)
			}
		}
	}
	if u.bytes > maxVerdictBytes || u.bytes < maxVerdictBytes-2000 {
		t.Errorf("%d bytes are held", u.bytes)
	}
	if want := 2*users - len(u.known); judged != want {
		t.Errorf("judged %d times, want %d", judged, want)
	}
	if held := strings.Repeat("x", maxVerdictBytes+1); u.of(held, judge) != judge(held) {
		t.Error("a text that is too large has another verdict")
	}
}
