package parquet

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	zstdcodec "github.com/parquet-go/parquet-go/compress/zstd"
)

// TestZstdWindow compresses a page larger than the window: the encoder must not
// keep megabytes of history, and files with the window of before are still read.
func TestZstdWindow(t *testing.T) {
	page := make([]byte, 4*zstdWindow)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range page {
		page[i] = byte(r.IntN(4))
	}
	ours, err := newZstd()
	if err != nil {
		t.Fatal(err)
	}
	before := &zstdcodec.Codec{Level: zstd.SpeedFastest}
	for name, encode := range map[string]func(dst, src []byte) ([]byte, error){"ours": ours.Encode, "before": before.Encode} {
		packed, err := encode(nil, page)
		if err != nil {
			t.Fatal(err)
		}
		var h zstd.Header
		if err := h.Decode(packed); err != nil {
			t.Fatal(err)
		}
		if name == "ours" && (h.SingleSegment || h.WindowSize != zstdWindow) {
			t.Errorf("the window is %d, want %d", h.WindowSize, zstdWindow)
		}
		if got, err := ours.Decode(nil, packed); err != nil || !bytes.Equal(got, page) {
			t.Errorf("%s: decoded to %d other bytes, %v", name, len(got), err)
		}
	}
}
