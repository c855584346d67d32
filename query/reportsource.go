package query

import (
	"context"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// reportSource yields the rows that a report requests, as of one view. A report
// that the rollup tables cannot answer, because its days are of another time
// zone or it is about some events only, gets rollups that the same code gathers
// from all events for it alone.
type reportSource struct {
	view     *view.View
	question *report.Question
	columns  []string       // of events, for an exact question; nil until they are known
	filter   columns.Filter // the product
	optOuts  view.OptOuts
	whole    *rollup.Set // all rows of an exact question, if they fit one piece
}

func newReportSource(v *view.View, q *report.Question, product int64) *reportSource {
	return &reportSource{
		view: v, question: q, filter: columns.Filter{Products: []int64{product}}, optOuts: view.OptOuts{View: v, Product: product},
	}
}

const (
	dayMS     = 86_400_000 // milliseconds of a day
	endOfDays = 3_000_000  // no event has a day after this
)

// filterOf is the filter for the rows of a scan.
func (s *reportSource) filterOf(scan report.Scan) columns.Filter {
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

// Clients yields the lifetimes of clients.
func (s *reportSource) Clients(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.ClientBatch, error] {
	if s.question.NeedsEvents() {
		return view.SetBatches(s.sets(ctx, scan), func(set *rollup.Set) iter.Seq[*rollup.ClientBatch] { return set.ClientBatches(scan.Wants) })
	}
	f := s.filter
	f.Clients = scan.Clients
	return s.view.ClientBatches(ctx, f, scan.Wants)
}

// Days yields client days.
func (s *reportSource) Days(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.DayBatch, error] {
	if s.question.NeedsEvents() {
		return view.SetBatches(s.sets(ctx, scan), func(set *rollup.Set) iter.Seq[*rollup.DayBatch] { return set.DayBatches(scan.Wants) })
	}
	return s.view.DayBatches(ctx, s.filterOf(scan), scan.Wants)
}

// Events yields event days.
func (s *reportSource) Events(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.EventBatch, error] {
	if s.question.NeedsEvents() {
		return view.SetBatches(s.sets(ctx, scan), (*rollup.Set).EventBatches)
	}
	return s.view.EventBatches(ctx, s.filterOf(scan), scan.Wants)
}

// sets yields the rollups of an exact question. A single set is kept, because a
// report scans more than once.
func (s *reportSource) sets(ctx context.Context, scan report.Scan) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		if s.whole != nil {
			yield(s.whole, nil)
			return
		}
		names, err := s.exactColumns(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		f := s.filter
		f.Clients = scan.Clients
		only := view.RollUp(s.view.Events(ctx, names, f), s.newSet, s.add, yield)
		if scan.Clients == nil {
			s.whole = only
		}
	}
}

// newSet returns an empty set whose days are of the question's time zone.
func (s *reportSource) newSet() *rollup.Set {
	zone := s.question.Zone()
	return rollup.NewSetWithDays(func(ms int64) int32 { return int32(zone.Day(ms)) })
}

// add adds those events of a batch that the question is about.
func (s *reportSource) add(set *rollup.Set, rec arrow.Record) error {
	if !s.question.FiltersEvents() {
		return set.AddBatch(rec)
	}
	rows, err := columns.Bind(rec)
	if err != nil {
		return err
	}
	return set.AddBatchIf(rec, func(i int) bool { return s.question.MatchesEvent(rows.Properties.At(i)) })
}

// exactColumns are the columns of events that an exact question reads. Which
// clients opted out is read only if some client ever said so.
func (s *reportSource) exactColumns(ctx context.Context) ([]string, error) {
	if s.columns != nil {
		return s.columns, nil
	}
	optOuts := s.question.CountsClients()
	if optOuts {
		var err error
		if optOuts, err = s.optOuts.Reported(ctx); err != nil {
			return nil, err
		}
	}
	s.columns = eventColumns(s.question, optOuts)
	return s.columns, nil
}

// OptOuts yields what client days say of opt-outs.
func (s *reportSource) OptOuts(ctx context.Context, scan report.OptOutScan) iter.Seq2[rollup.OptOut, error] {
	if !s.question.NeedsEvents() {
		return s.optOuts.All(ctx, scan.Clients, scan.OnlyOut)
	}
	return func(yield func(rollup.OptOut, error) bool) {
		if reported, err := s.optOuts.Reported(ctx); err != nil || !reported {
			if err != nil {
				yield(rollup.OptOut{}, err)
			}
			return
		}
		for set, err := range s.sets(ctx, report.Scan{}) {
			if err != nil {
				yield(rollup.OptOut{}, err)
				return
			}
			for o := range rollup.OptOuts(set) {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// eventColumns are the columns of events that a question reads where rollups
// end, or cannot answer it.
func eventColumns(q *report.Question, optOuts bool) []string {
	wants := q.Wants()
	if optOuts {
		wants |= rollup.WantProperties
	}
	names := rollup.Columns(wants)
	if q.FiltersEvents() {
		names = append(names, columns.Properties)
	}
	return names
}

// UserAttributes yields the user attributes of the clients that scan wants.
func (s *reportSource) UserAttributes(ctx context.Context, scan report.UserAttributeScan) iter.Seq2[*report.UserAttribute, error] {
	return userAttributes(ctx, s.view, s.filter.Products[0], scan)
}
