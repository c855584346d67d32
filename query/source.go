package query

import (
	"context"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/query/report"
	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// source gives a report the rows that it asks for, as of one view. A report
// that rollups cannot answer, because its days are of another time zone or it
// is about some events only, gets rollups that are gathered from all events for
// it alone, by the same code.
type source struct {
	view     *view
	question *report.Question
	filter   columns.Filter // the product
	whole    *rollup.Set    // all rows of an exact question, when they fit one piece
}

const (
	dayMS     = 86_400_000 // in milliseconds
	endOfDays = 3_000_000  // no event has a day after this
)

// filterOf is the rows of a scan.
func (s *source) filterOf(scan report.Scan) columns.Filter {
	f := s.filter
	f.Clients = scan.Clients
	if scan.From > 0 {
		f.TimeFrom = int64(scan.From) * dayMS
	}
	if scan.To < endOfDays {
		f.TimeTo = int64(scan.To) * dayMS
	}
	return f
}

// Clients yields clients' lives.
func (s *source) Clients(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.ClientBatch, error] {
	if s.question.NeedsEvents() {
		return ofSets(s.sets(ctx, scan), func(set *rollup.Set) iter.Seq[*rollup.ClientBatch] { return set.ClientBatches(scan.Wants) })
	}
	f := s.filter
	f.Clients = scan.Clients
	return s.view.clientBatches(ctx, f, scan.Wants)
}

// Days yields client days.
func (s *source) Days(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.DayBatch, error] {
	if s.question.NeedsEvents() {
		return ofSets(s.sets(ctx, scan), func(set *rollup.Set) iter.Seq[*rollup.DayBatch] { return set.DayBatches(scan.Wants) })
	}
	return s.view.dayBatches(ctx, s.filterOf(scan), scan.Wants)
}

// Events yields event days.
func (s *source) Events(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.EventBatch, error] {
	if s.question.NeedsEvents() {
		return ofSets(s.sets(ctx, scan), (*rollup.Set).EventBatches)
	}
	return s.view.eventBatches(ctx, s.filterOf(scan), scan.Wants)
}

// sets are the rollups of an exact question. When one piece has them all it is
// kept: a report scans more than once.
func (s *source) sets(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		if s.whole != nil {
			yield(s.whole, nil)
			return
		}
		f := s.filter
		f.Clients = scan.Clients
		only := passOn(rolledUp(s.view.events(ctx, s.view.columns, f), s.empty, s.add), s.empty, yield)
		if scan.Clients == nil {
			s.whole = only
		}
	}
}

func (s *source) empty() *rollup.Set {
	zone := s.question.Zone()
	return rollup.NewSetWithDays(func(ms int64) int32 { return int32(zone.Day(ms)) })
}

// add adds the events of a batch that the question is about.
func (s *source) add(set *rollup.Set, rec arrow.Record) error {
	if !s.question.FiltersEvents() {
		return set.AddBatch(rec)
	}
	rows, err := columns.Bind(rec)
	if err != nil {
		return err
	}
	return set.AddBatchIf(rec, func(i int) bool { return s.question.MatchesEvent(rows.Properties.At(i)) })
}

// eventColumns are the columns of events that a question reads where rollups
// end, or cannot answer it.
func eventColumns(q *report.Question) []string {
	names := rollup.Columns(q.Wants())
	if q.FiltersEvents() {
		names = append(names, columns.Properties)
	}
	return names
}

// UserAttributes yields what product owners said of the clients that are wanted.
func (s *source) UserAttributes(ctx context.Context, scan report.UserAttributeScan) iter.Seq2[*report.UserAttribute, error] {
	return s.view.userAttributes(ctx, s.filter.Products[0], scan)
}
