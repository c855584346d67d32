package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/query/cost"
	"weir/query/report"
	"weir/query/view"
	"weir/schemas"
)

// TestAnswerEndsWhileItIsWritten ends the context before the second piece of an
// answer is written.
func TestAnswerEndsWhileItIsWritten(t *testing.T) {
	w := newReportWorld(t)
	long := make([]string, 100_000)
	for i := range long {
		long[i] = "a value of some length"
	}
	ctx, rec := endAfter(t.Context(), 2), httptest.NewRecorder()
	err := w.reporting.reports.writeAnswer(ctx, rec, long)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if rec.Body.Len() > 1<<20 {
		t.Errorf("%d bytes were written at once, or after the end", rec.Body.Len())
	}
}

// endingContext ends when it was looked at a number of times, and with it all that
// waits for it.
type endingContext struct {
	context.Context //nolint:containedctx // it is a context
	end             context.CancelFunc
	looks           atomic.Int64
	after           int64 // 0 is never
}

func endAfter(ctx context.Context, looks int64) *endingContext {
	c := &endingContext{after: looks}
	c.Context, c.end = context.WithCancel(ctx)
	return c
}

func (c *endingContext) check() {
	if n := c.looks.Add(1); c.after > 0 && n >= c.after {
		c.end()
	}
}

func (c *endingContext) Err() error {
	c.check()
	return c.Context.Err()
}

func (c *endingContext) Done() <-chan struct{} {
	c.check()
	return c.Context.Done()
}

// TestQuestionEndsWhileItIsPlanned ends the context at each place where a plan
// looks at it: while it reads the lake, while it asks the owners of shards, and
// while it waits for a watermark that is not reached.
func TestQuestionEndsWhileItIsPlanned(t *testing.T) {
	w := newReportWorld(t)
	longValues(w, 4)
	rp := w.reporting.reports
	product, err := w.deps.Registry.Product(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	ask := productQuestion{product: product, watermark: view.Watermark{0: 1 << 40}}
	var body report.Body
	if err := json.Unmarshal([]byte(`{"startDate":"NOW-3","stopDate":"NOW","clientStatus":["active"]}`), &body); err != nil {
		t.Fatal(err)
	}
	q, err := report.NewDateRange(&body, report.Params{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	const places = 60 // more than it takes to wait the first time
	for after := int64(1); after <= places; after++ {
		ctx := endAfter(t.Context(), after)
		v, err := rp.plan(ctx, ask, q)
		ctx.end()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended at look %d: %v", after, err)
		}
		if err == nil {
			v.Close()
		}
		if n := ctx.looks.Load(); n > after+places {
			t.Errorf("ended at look %d, and looked %d times", after, n)
		}
	}
}

// longValues adds clients with versions of 8,000 bytes.
func longValues(w *reportWorld, n int) {
	for i := range n {
		client := int64(100 + i)
		w.add(int32(client%listShards), schemas.Event{
			Product: 1, Client: client, Time: w.midday - reportDay, Name: "Open", RandomID: fmt.Sprint(i),
			ClientProps: fmt.Appendf(nil, `{"prodVersion":"%d%s"}`, i, strings.Repeat("x", 8000)),
		})
	}
}

// TestQuestionOverItsTimeIsRefused asks with an expression that takes longer than
// it may, over values of which there are many.
func TestQuestionOverItsTimeIsRefused(t *testing.T) {
	w := newReportWorld(t)
	longValues(w, 80)
	w.reporting.reports.cost = cost.Limits{MatchTime: time.Microsecond}
	w.checkRefused("generic/current", map[string]any{
		"clientStatus":  []any{"active"},
		"globalFilters": map[string]any{"prodVersion": map[string]any{"type": "regex", "value": "(?:x?y?){190}z"}},
	}, "globalFilters.prodVersion.value: is a regular expression that takes too long over these values")
}
