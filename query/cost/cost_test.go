package cost

import (
	"errors"
	"testing"
)

func TestAnswersAreBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer Answer
		limit  Limit // "" passes
	}{
		{"ten years by day, 100 segments", Answer{Series: 100, Buckets: 3653, Numbers: 3, Bytes: 40 << 20}, ""},
		{"three levels of 20", Answer{Series: 8420, Buckets: 1, Numbers: 3}, ""},
		{"150 segments a level", Answer{Series: 150 + 150*150 + 150*150*150, Buckets: 1, Numbers: 1}, Series},
		{"1,000 segments x 3,700 days", Answer{Series: 1000, Buckets: 3700, Numbers: 1}, Counts},
		{"long labels", Answer{Series: 1, Buckets: 1, Numbers: 1, Bytes: 65 << 20}, AnswerBytes},
		{"more than 64 bits", Answer{Series: 1, Buckets: 1 << 40, Numbers: 1 << 40}, Counts},
	} {
		err := Limits{}.Question().Check(c.answer)
		refusal, refused := errors.AsType[*Refusal](err)
		if refused != (c.limit != "") || refused && refusal.Limit != c.limit {
			t.Errorf("%s: %v, want %q", c.name, err, c.limit)
		}
	}
}

func TestWhatTheDataDecidesEndsTheQuestion(t *testing.T) {
	for limit, add := range map[Limit]func(q *Question){
		Series:      func(q *Question) { q.AddSeries("levels", "", 0) },
		Counts:      func(q *Question) { q.AddSeries("levels", "", 10) },
		AnswerBytes: func(q *Question) { q.AddCounts("levels", 0, 40) },
	} {
		q := Limits{Series: 20, Counts: 100, AnswerBytes: 1000}.Question()
		ctx, end := q.Begin(t.Context())
		defer end()
		for range 10 {
			add(q)
		}
		if ctx.Err() != nil {
			t.Errorf("%s: ended below the limit", limit)
		}
		for range 20 {
			add(q)
		}
		if refusal, ok := errors.AsType[*Refusal](Cause(ctx, ctx.Err())); !ok || refusal.Limit != limit || refusal.Field != "levels" {
			t.Errorf("%s: %v", limit, Cause(ctx, ctx.Err()))
		}
	}
}
