package report

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"weir/schemas/rollup"
)

// dayMS is a day in milliseconds.
const dayMS = 86_400_000

// fakeSource is a Source of given rows, which it yields in small batches. It counts
// the scans.
type fakeSource struct {
	clients    []rollup.Client
	days       []rollup.ClientDay
	events     []rollup.EventDay
	attributes []UserAttribute
	scans      int
}

const batchRows = 7

func batched[R, B any](r *fakeSource, all []R, batch func([]R) *B) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		r.scans++
		for len(all) > 0 {
			n := min(batchRows, len(all))
			if !yield(batch(all[:n]), nil) {
				return
			}
			all = all[n:]
		}
	}
}

func (r *fakeSource) Clients(context.Context, Scan) iter.Seq2[*rollup.ClientBatch, error] {
	return batched(r, r.clients, func(some []rollup.Client) *rollup.ClientBatch {
		b := &rollup.ClientBatch{}
		for _, c := range some {
			b.Client, b.First, b.Last = append(b.Client, c.Client), append(b.First, c.First), append(b.Last, c.Last)
			b.Sessions, b.RuntimeMS = append(b.Sessions, c.Sessions), append(b.RuntimeMS, c.RuntimeMS)
			b.Properties = append(b.Properties, string(c.Properties.AppendJSON(nil)))
		}
		return b
	})
}

func (r *fakeSource) Days(context.Context, Scan) iter.Seq2[*rollup.DayBatch, error] {
	return batched(r, r.days, func(some []rollup.ClientDay) *rollup.DayBatch {
		b := &rollup.DayBatch{}
		for _, d := range some {
			b.Client.Append(d.Client)
			b.Day = append(b.Day, d.Day)
			b.Sessions, b.RuntimeMS = append(b.Sessions, d.Sessions), append(b.RuntimeMS, d.RuntimeMS)
			b.Properties = append(b.Properties, string(d.Properties.AppendJSON(nil)))
		}
		return b
	})
}

func (r *fakeSource) Events(context.Context, Scan) iter.Seq2[*rollup.EventBatch, error] {
	return batched(r, r.events, func(some []rollup.EventDay) *rollup.EventBatch {
		b := &rollup.EventBatch{}
		for i, d := range some {
			b.Client.Append(d.Client)
			b.Day, b.Count = append(b.Day, d.Day), append(b.Count, d.Count)
			b.ValueSum, b.ValueCount = append(b.ValueSum, d.ValueSum), append(b.ValueCount, d.ValueCount)
			b.Name.Codes, b.Name.Values = append(b.Name.Codes, int32(i)), append(b.Name.Values, d.Name)
			code := int32(-1)
			if d.HasCategory {
				code = int32(len(b.Category.Values))
				b.Category.Values = append(b.Category.Values, d.Category)
			}
			b.Category.Codes = append(b.Category.Codes, code)
		}
		return b
	})
}

func (r *fakeSource) UserAttributes(context.Context, UserAttributeScan) iter.Seq2[*UserAttribute, error] {
	return func(yield func(*UserAttribute, error) bool) {
		for i := range r.attributes {
			if !yield(&r.attributes[i], nil) {
				return
			}
		}
	}
}

func (r *fakeSource) OptOuts(context.Context, OptOutScan) iter.Seq2[rollup.OptOut, error] {
	return func(yield func(rollup.OptOut, error) bool) {
		for i := range r.days {
			o, found, err := rollup.FindOptOut(r.days[i].Client, string(r.days[i].Properties.AppendJSON(nil)))
			if (found || err != nil) && !yield(o, err) {
				return
			}
		}
	}
}

// answerOf compiles and answers a question on day 100 after 1970-01-01, and returns
// the JSON of the answer.
func answerOf(t testing.TB, compile func(*Body, Params) (*Question, error), body string, params Params, src Source) string {
	t.Helper()
	var b Body
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatal(err)
	}
	params.Now = time.UnixMilli(100 * dayMS)
	q, err := compile(&b, params)
	if err != nil {
		t.Fatal(err)
	}
	a, err := q.Answer(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(append(Object{{"result", a.Result}}, a.More...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
