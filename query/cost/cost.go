// Package cost bounds what one question may cost, before it is begun. It holds
// the limits of all question APIs, and the one function that refuses.
//
// It promises that a question that passes has a bounded number of series, of
// numbers and of conditions, an answer of bounded size, and regular expressions
// of bounded length and size. Their size is computed from the parsed expression,
// before it is compiled, because compiling repeats what a count repeats.
//
// What depends on the data (series of values, time spent on regular
// expressions) is counted while the question is answered, by the same limits:
// what is over a limit cancels the context of the question, with the refusal as
// its cause.
package cost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Limits are the bounds of one question. The zero value has the defaults.
type Limits struct {
	Counts       int64         // numbers of an answer: buckets x series x numbers of each; 0 means 3,000,000
	Series       int64         // of an answer, those of all levels together; 0 means 100,000
	AnswerBytes  int64         // of an answer, approximately; 0 means 64 MiB
	Conditions   int64         // filters, segments, flags and members of combinations; 0 means 1,000
	PatternBytes int64         // of one regular expression; 0 means 2,000
	PatternSize  int64         // instructions of one regular expression, ten times as many of a question; 0 means 1,000
	MatchTime    time.Duration // spent on the regular expressions of one question; 0 means 10s
	EventNames   int           // of a product that an answer lists by name; 0 means 20,000
}

// WithDefaults returns the limits that count.
func (l Limits) WithDefaults() Limits {
	l.Counts = cmp.Or(l.Counts, 3_000_000)
	l.Series = cmp.Or(l.Series, 100_000)
	l.AnswerBytes = cmp.Or(l.AnswerBytes, 64<<20)
	l.Conditions = cmp.Or(l.Conditions, 1000)
	l.PatternBytes = cmp.Or(l.PatternBytes, 2000)
	l.PatternSize = cmp.Or(l.PatternSize, 1000)
	l.MatchTime = cmp.Or(l.MatchTime, 10*time.Second)
	l.EventNames = cmp.Or(l.EventNames, 20_000)
	return l
}

// Limit names a limit: the label of metrics, and the end of the setting's name.
type Limit string

// The limits.
const (
	Counts       Limit = "max_counts"
	Series       Limit = "max_series"
	AnswerBytes  Limit = "max_answer_bytes"
	Conditions   Limit = "max_conditions"
	PatternBytes Limit = "max_pattern_bytes"
	PatternSize  Limit = "max_pattern_size"
	MatchTime    Limit = "max_match_time"
)

// Refusal is a question that costs more than it may. The client reads all of it.
type Refusal struct {
	Field     string // dotted
	Limit     Limit
	Cost, Max int64 // milliseconds of MatchTime
}

func (r *Refusal) Error() string { return r.Field + ": " + r.Reason() }

// Reason says what the question costs and what it may cost.
func (r *Refusal) Reason() string {
	var what string
	switch r.Limit {
	case Counts:
		what = "the answer would have %d numbers (buckets x series x numbers of each), and may have %d"
	case Series:
		what = "the answer would have %d series, and may have %d"
	case AnswerBytes:
		what = "the answer would have about %d bytes, and may have %d"
	case Conditions:
		what = "is condition number %d of the question, which may have %d"
	case PatternBytes:
		what = "is a regular expression of %d bytes, and may have %d"
	case PatternSize:
		what = "is a regular expression that comes to %d instructions when its repetitions are written out, and may come to %d"
	case MatchTime:
		what = "is a regular expression that takes too long over these values: the question has spent %d ms on matching, and may spend %d"
	}
	return fmt.Sprintf(what, r.Cost, r.Max) + " (query." + string(r.Limit) + ")"
}

// Question counts what one question costs. Its methods may be called by several
// goroutines, except while it compiles.
type Question struct {
	limits     Limits
	conditions int64
	program    int64 // instructions of all regular expressions
	series     atomic.Int64
	counts     atomic.Int64
	labels     atomic.Int64 // bytes of the labels of series
	steps      atomic.Int64 // bytes x instructions of all texts that were matched: the most that it can have taken
	matching   atomic.Int64 // nanoseconds
	stop       context.CancelCauseFunc
	done       <-chan struct{}
}

// Question returns the account of a new question.
func (l Limits) Question() *Question { return &Question{limits: l.WithDefaults()} }

// Limits returns the limits of the question.
func (q *Question) Limits() Limits { return q.limits }

// Begin returns the context in which the question is answered. It ends when a
// limit is passed: see Cause. The caller calls the function when it has answered.
func (q *Question) Begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, q.stop = context.WithCancelCause(ctx)
	q.done = ctx.Done()
	return ctx, func() { q.stop(nil) }
}

// Cause returns the refusal that ended the context of a question, else err.
func Cause(ctx context.Context, err error) error {
	if refusal, ok := errors.AsType[*Refusal](context.Cause(ctx)); ok {
		return refusal
	}
	return err
}

// refuse returns a refusal, and ends the question if it has begun.
func (q *Question) refuse(field string, limit Limit, costs, most int64) error {
	refusal := &Refusal{Field: field, Limit: limit, Cost: costs, Max: most}
	if q.stop != nil {
		q.stop(refusal)
	}
	return refusal
}

// Condition counts one condition.
func (q *Question) Condition(field string) error {
	if q.conditions++; q.conditions > q.limits.Conditions {
		return q.refuse(field, Conditions, q.conditions, q.limits.Conditions)
	}
	return nil
}

// Answer is the size of an answer.
type Answer struct {
	Field   string // that makes it as large as it is
	Series  int64
	Buckets int64 // of each series
	Numbers int64 // of each bucket
	Bytes   int64 // of all
}

// Check refuses an answer that is too large. It is called with what is known of
// it when the question is compiled, and with what it has before it is written.
func (q *Question) Check(a Answer) error {
	counts := Mul(Mul(a.Series, a.Buckets), a.Numbers)
	switch {
	case a.Series > q.limits.Series:
		return q.refuse(a.Field, Series, a.Series, q.limits.Series)
	case counts > q.limits.Counts:
		return q.refuse(a.Field, Counts, counts, q.limits.Counts)
	case a.Bytes > q.limits.AnswerBytes:
		return q.refuse(a.Field, AnswerBytes, a.Bytes, q.limits.AnswerBytes)
	}
	return nil
}

// AddSeries counts a series that was found in the data, with the numbers that it
// holds. What is over a limit ends the question.
func (q *Question) AddSeries(field, label string, numbers int) {
	series, counts, labels := q.series.Add(1), q.counts.Add(int64(numbers)), q.labels.Add(int64(len(label)))
	switch {
	case series > q.limits.Series:
		_ = q.refuse(field, Series, series, q.limits.Series) // the context says it
	case counts > q.limits.Counts:
		_ = q.refuse(field, Counts, counts, q.limits.Counts)
	case labels > q.limits.AnswerBytes:
		_ = q.refuse(field, AnswerBytes, labels, q.limits.AnswerBytes)
	}
}

// AddCounts counts numbers and bytes of an answer that were found in the data, as
// AddSeries does.
func (q *Question) AddCounts(field string, numbers, bytes int) {
	if counts := q.counts.Add(int64(numbers)); counts > q.limits.Counts {
		_ = q.refuse(field, Counts, counts, q.limits.Counts) // the context says it
	}
	if labels := q.labels.Add(int64(bytes)); labels > q.limits.AnswerBytes {
		_ = q.refuse(field, AnswerBytes, labels, q.limits.AnswerBytes)
	}
}

// Restart forgets what was found in the data.
func (q *Question) Restart() {
	q.series.Store(0)
	q.counts.Store(0)
	q.labels.Store(0)
}

// most is a number that no limit allows, and of which two can be added.
const most = 1 << 62

// Mul multiplies two numbers that are not negative, up to a number that no limit
// allows.
func Mul(a, b int64) int64 {
	if a != 0 && b > most/a {
		return most
	}
	return a * b
}

// Add adds two numbers that are not negative, up to a number that no limit
// allows.
func Add(a, b int64) int64 { return min(most, a+b) }
