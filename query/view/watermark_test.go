package view

import "testing"

// FuzzWatermark: a watermark that is parsed is written and parsed again as the same
// one.
func FuzzWatermark(f *testing.F) {
	for _, text := range []string{"", "0=123,1=456", "0=0", "1023=9223372036854775807", "0=1,0=1", " 0=1 , 2=3 "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, ok := ParseWatermark(text)
		if !ok {
			return
		}
		again, ok := ParseWatermark(w.String())
		if !ok || again.String() != w.String() || len(again) != len(w) {
			t.Errorf("%q: %s, then %s", text, w, again)
		}
	})
}
