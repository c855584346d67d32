package ingest

import (
	"context"
	"runtime"
	"time"
)

// largeBody is the size from which a body, decompressed, needs a turn among the
// large ones, too. There are few such turns, so that the small requests of others
// always find a decoder and a CPU that is free.
const largeBody = 256 << 10

// letOthersRun is called after each event of a body. The events of a large one take
// a processor for longer than the scheduler gives it to one goroutine at a time, and
// those of others, which need it for microseconds, would wait for each such turn.
func letOthersRun(body []byte) {
	if len(body) > largeBody {
		runtime.Gosched()
	}
}

// decoderFactor is how many bytes a decoder may hold by itself for each byte of
// a body, at worst: names of an object are remembered to find one that is given
// twice (TestDecoderFactor). It is charged to the whole alone and only while the
// body is decoded, since turns bound it already.
const decoderFactor = 8

// turn is the right of one request to decompress and decode its body.
type turn struct {
	budget       *budget
	account      *share
	wait         time.Duration
	inside       bool
	insideLarge  bool
	decoderBytes int64 // charged for the decoder's own
}

// begin waits for the turn of a body of n bytes.
func (t *turn) begin(ctx context.Context, n int) error {
	if n > largeBody {
		if err := t.beginLarge(ctx); err != nil {
			return err
		}
	}
	return t.acquire(ctx)
}

// acquire waits for a place among all.
func (t *turn) acquire(ctx context.Context) error {
	_, err := t.budget.decoders.acquire(ctx, t.account, 1, t.wait)
	t.inside = err == nil
	return err
}

// beginLarge waits for a place among the large ones.
func (t *turn) beginLarge(ctx context.Context) error {
	_, err := t.budget.large.acquire(ctx, t.account, 1, t.wait)
	t.insideLarge = err == nil
	return err
}

// enlarge makes it the turn of a large body, which was small until now. It waits
// outside: a place among all is never kept while waiting for one among the large.
func (t *turn) enlarge(ctx context.Context) error {
	if t.insideLarge {
		return nil
	}
	t.budget.decoders.release(1)
	t.inside = false
	if err := t.beginLarge(ctx); err != nil {
		return err
	}
	return t.acquire(ctx)
}

// chargeDecoder charges what the decoder of a body of n bytes holds by itself.
func (t *turn) chargeDecoder(n int) error {
	// At a very small limit a body that fits must not fail for this.
	own := min(decoderFactor*int64(n), t.budget.limit/4)
	if t.budget.held.Add(own) > t.budget.limit {
		t.budget.held.Add(-own)
		return &overError{who: overWhole, what: "memory"}
	}
	t.decoderBytes = own
	return nil
}

// end ends the turn; it may be called again.
func (t *turn) end() {
	if t.inside {
		t.budget.decoders.release(1)
	}
	if t.insideLarge {
		t.budget.large.release(1)
	}
	t.budget.held.Add(-t.decoderBytes)
	t.inside, t.insideLarge, t.decoderBytes = false, false, 0
}
