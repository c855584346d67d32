package query

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/query/cost"
	"weir/schemas"
)

// countedContext ends when it was looked at a number of times.
type countedContext struct {
	context.Context //nolint:containedctx // it is a context itself
	looks           atomic.Int64
	after           int64 // 0 is never
}

func (c *countedContext) Err() error {
	if n := c.looks.Add(1); c.after > 0 && n > c.after {
		return context.Canceled
	}
	return nil
}

// Done never ends: the loops must look at Err themselves.
func (*countedContext) Done() <-chan struct{} { return nil }

// TestAnswerEndsWhileItIsWritten ends the context before the second piece of an
// answer is written.
func TestAnswerEndsWhileItIsWritten(t *testing.T) {
	w := newReportWorld(t)
	long := make([]string, 100_000)
	for i := range long {
		long[i] = "a value of some length"
	}
	ctx, rec := &countedContext{Context: t.Context(), after: 1}, httptest.NewRecorder()
	err := w.reporting.reports.writeAnswer(ctx, rec, long)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if rec.Body.Len() > 1<<20 {
		t.Errorf("%d bytes were written at once, or after the end", rec.Body.Len())
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
