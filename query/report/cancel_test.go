package report

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"weir/schemas/rollup"
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

// manyClients is a source of clients that were active every day, and of their
// events. It notes which scans it began, and does not look at the context.
type manyClients struct {
	clients, days int
	batches       int
	first         Day
	scattered     int // if not 0, days are scattered over so many, and clients have different numbers of sessions
}

const clientsPerBatch = 500

func (s *manyClients) Clients(context.Context, Scan) iter.Seq2[*rollup.ClientBatch, error] {
	return func(yield func(*rollup.ClientBatch, error) bool) {
		for from := 0; from < s.clients; from += clientsPerBatch {
			b := &rollup.ClientBatch{}
			for i := range clientsPerBatch {
				b.Client = append(b.Client, int64(from+i+1))
				b.First, b.Last = append(b.First, int64(s.first)*dayMS), append(b.Last, int64(int(s.first)+s.days-1)*dayMS)
				b.Sessions, b.RuntimeMS = append(b.Sessions, int64(1+min(s.scattered, 1)*(from+i)%1000)), append(b.RuntimeMS, 1)
				b.Properties = append(b.Properties, "")
			}
			if s.batches++; !yield(b, nil) {
				return
			}
		}
	}
}

func (s *manyClients) Days(context.Context, Scan) iter.Seq2[*rollup.DayBatch, error] {
	return func(yield func(*rollup.DayBatch, error) bool) {
		for from := 0; from < s.clients; from += clientsPerBatch {
			b := &rollup.DayBatch{}
			for i := range clientsPerBatch {
				for day := range s.days {
					b.Client.Append(int64(from + i + 1))
					b.Day = append(b.Day, int32(int(s.first)+s.dayOf(from+i, day)))
					b.Sessions, b.RuntimeMS, b.Properties = append(b.Sessions, 1), append(b.RuntimeMS, 1), append(b.Properties, "")
				}
			}
			if s.batches++; !yield(b, nil) {
				return
			}
		}
	}
}

func (*manyClients) Events(context.Context, Scan) iter.Seq2[*rollup.EventBatch, error] {
	return func(func(*rollup.EventBatch, error) bool) {}
}

func (*manyClients) UserAttributes(context.Context, UserAttributeScan) iter.Seq2[*UserAttribute, error] {
	return func(func(*UserAttribute, error) bool) {}
}

func (*manyClients) OptOuts(context.Context, OptOutScan) iter.Seq2[rollup.OptOut, error] {
	return func(func(rollup.OptOut, error) bool) {}
}

// TestQuestionsEndInTheMiddleOfEachStage ends the context of a question at each
// place where it is looked at, and requires that the question ends there: while
// it scans, and while it folds.
func TestQuestionsEndInTheMiddleOfEachStage(t *testing.T) {
	const days, clients = 30, 4000
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := DayOf(now) - days + 1
	ask := func(ctx context.Context) (*manyClients, error) {
		var body Body
		text, err := json.Marshal(map[string]any{
			"startDate": "NOW-29", "stopDate": "NOW", "dateSplit": "day", "clientStatus": []any{"new", "active"},
			"levels": map[string]any{"level1": map[string]any{"property": "lifetimeSessionCount", "segments": []any{
				map[string]any{"type": "numberRange", "min": 0, "segmentLabel": "all"}, map[string]any{"type": "number", "value": 1},
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		src := &manyClients{clients: clients, days: days, first: first}
		q, err := NewDateRange(&body, Params{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		_, err = q.answer(ctx, src)
		return src, err
	}
	whole := &countedContext{Context: t.Context()}
	all, err := ask(whole)
	if err != nil {
		t.Fatal(err)
	}
	looks := whole.looks.Load()
	if scans, folds := int64(all.batches), int64(clients/256); looks < scans+folds {
		t.Errorf("the context was looked at %d times, in %d batches and %d clients", looks, scans, clients)
	}
	for after := int64(1); after < looks; after++ {
		src, err := ask(&countedContext{Context: t.Context(), after: after})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("ended at look %d of %d: %v", after, looks, err)
		}
		if int64(src.batches) > after+1 {
			t.Errorf("ended at look %d, and read %d batches", after, src.batches)
		}
	}
}
