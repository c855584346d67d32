package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"weir/schemas/rollup"
)

// watchedReport notes how often the context was looked at before its answer is made.
type watchedReport struct {
	report
	ctx    *countedContext
	before int64
}

func (w *watchedReport) result() Answer {
	w.before = w.ctx.looks.Load()
	return w.report.result()
}

// manySeries is a source of n clients on day 90, each with a version and an event of
// its own.
func manySeries(n int) *fakeSource {
	src := &fakeSource{}
	for i := range n {
		at := int64(90*dayMS + i)
		version := rollup.Properties{{Name: "prodVersion", Value: fmt.Sprintf("\"%06d\"", n-i), Time: at, Offset: int64(i)}}
		src.clients = append(src.clients, rollup.Client{Client: int64(i + 1), First: at, Last: at, Sessions: 1, Properties: version})
		src.days = append(src.days, rollup.ClientDay{Client: int64(i + 1), Day: 90, Sessions: 1, Properties: version})
		src.events = append(src.events, rollup.EventDay{Client: int64(i + 1), Day: 90, Name: fmt.Sprintf("e%06d", n-i), HasCategory: true, Category: "c", Count: 1})
	}
	return src
}

// TestAnswersEndWhileTheyAreMade ends the context of questions with many series or
// events while their answers are made of what was counted. They end at once; and as a
// whole they look often enough: once in 4,096 steps of each of their loops.
func TestAnswersEndWhileTheyAreMade(t *testing.T) {
	const n = 4 * stepsPerCheck // no more events than an answer lists
	const sorting = 12          // comparisons of an element, or more
	split := `{"type":"regex","value":".*","split":true}`
	segments := `"segmentBy":"prodVersion","segments":[` + split + `]`
	collected := func(string, string) (basic, advanced bool) { return true, true }
	for name, c := range map[string]struct {
		compile       func(*Body, Params) (*Question, error)
		body          string
		made, written int // steps, at least
	}{
		"date range": {
			NewDateRange, `"startDate":"1970-03-30","dateSplit":"day","clientStatus":["active"],"levels":{"level1":{"property":"prodVersion","segments":[` + split + `]}}`,
			3 * n, sorting * n, // tree, limits, size
		},
		"date range with a limit": {
			NewDateRange, `"startDate":"1970-03-30","clientStatus":["active"],"levels":{"level1":{"property":"prodVersion","segments":[` +
				`{"type":"regex","value":".*","split":true,"limit":10}]}}`,
			(2 + sorting) * n, 0,
		},
		"cohorts":     {NewCohorts, `"startDate":"1970-03-30","dateSplit":"day","daysUntilDeclaredLost":10,` + segments, (7 + 2*sorting) * n / 2, 0},
		"full report": {NewFullReport, `"startDate":"1970-03-30",` + segments + `,"events":[{"name":"e000001","category":"c"}]`, (7 + 2*sorting) * n / 2, 0},
		"event table": {NewEventTable, `"startDate":"1970-03-30"`, (8 + sorting) * n, 0},
		"lifetime table": {
			NewLifetimeTable, `"startDate":"1970-03-30",` + segments + `,"events":[{"name":"e000001","category":"c"}]`,
			(1 + sorting) * n, n, // sorted by the same once more
		},
		"lifetime table of every event": {NewLifetimeTable, `"startDate":"1970-03-30"`, sorting * n, 0},
		"timeline":                      {NewEventTimeline, `"startDate":"1970-01-02","dateSplit":"day","dataView":"customValues","events":[` + manyEvents(100) + `]`, 90 * 100, 0},
		"usage distribution":            {NewUsageDistribution, `"startDate":"1970-03-30"`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			src := manySeries(n)
			ask := func(after int64) (*watchedReport, Answer, error) {
				var body Body
				if err := json.Unmarshal([]byte(`{"stopDate":"1970-04-02",`+c.body+`}`), &body); err != nil {
					t.Fatal(err)
				}
				q, err := c.compile(&body, Params{Now: time.UnixMilli(100 * dayMS), Collected: collected})
				if err != nil {
					t.Fatal(err)
				}
				w := &watchedReport{report: q.report, ctx: &countedContext{Context: t.Context(), after: after}}
				q.report, q.named = w, nil
				a, err := q.answer(w.ctx, src)
				return w, a, err
			}
			w, answer, err := ask(0)
			if err != nil {
				t.Fatal(err)
			}
			whole := w.ctx.looks.Load()
			if made := whole - w.before; made < int64(c.made/stepsPerCheck) {
				t.Errorf("the context was looked at %d times while the answer was made, want once in %d of %d steps", made, stepsPerCheck, c.made)
			}
			if err := jsonv2.MarshalWrite(io.Discard, answer.Result); err != nil {
				t.Fatal(err)
			}
			if written := w.ctx.looks.Load() - whole; written < int64(c.written/stepsPerCheck) {
				t.Errorf("the context was looked at %d times while the answer was written, want once in %d of %d steps", written, stepsPerCheck, c.written)
			}
			// How often a sort compares depends on the order of maps, so the last looks may not come.
			for _, after := range []int64{w.before, (w.before + whole) / 2, (w.before + 3*whole) / 4} {
				ended, _, err := ask(after)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("ended at look %d of %d: %v", after, whole, err)
				}
				if looks := ended.ctx.looks.Load(); looks > after+2 {
					t.Errorf("ended at look %d, and looked %d times", after, looks)
				}
			}
		})
	}
}

// manyEvents is a list of n requested events.
func manyEvents(n int) (list string) {
	for i := range n {
		list += fmt.Sprintf(`,{"name":"e%06d","category":"c"}`, i+1)
	}
	return list[1:]
}
