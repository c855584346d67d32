package query

import (
	"context"
	"errors"
	"net/http"
	"time"

	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/report"
	"weir/schemas/rollup"
)

// reportQuestion is a report of one product that somebody may ask for.
type reportQuestion struct {
	product registry.Product
	want    watermark // sent back by who has seen it; the answer includes at least that
	body    report.Body
	today   report.Day
}

// reportRoutes mounts the reports of contract 4. README.md lists what was
// decided where the contract is silent.
func (s *Service) reportRoutes(at func(method, path, name string, answer func(http.ResponseWriter, *http.Request) error)) {
	for _, r := range []struct {
		path, name string
		answer     func(context.Context, *reportAnswer) error
	}{
		{"generic/dateRange", "report_date_range", s.dateRange},
		{"generic/current", "report_current", s.current},
		{"engagement/usageDistribution", "report_usage_distribution", s.usageDistribution},
		{"eventTracking/basic/dataTable", "report_event_table", s.eventTable},
		{"eventTracking/basic/timeline", "report_event_timeline", s.eventTimeline},
	} {
		at(http.MethodPost, "/v3/reporting/"+r.path+"/{product_id}", r.name, s.report(r.answer))
	}
}

// reportAnswer is one question on its way to an answer.
type reportAnswer struct {
	reportQuestion
	service *Service
	view    *view // nil until planned; closed when the answer is sent
	result  any   // of the envelope
}

// plan sets the view.
func (a *reportAnswer) plan(ctx context.Context, tables ...lake.Table) (err error) {
	a.view, err = a.service.plan(ctx, question{
		columns: rollup.Columns(), filter: lake.Filter{Products: []int64{a.product.ID}}, watermark: a.want, rollups: tables,
	})
	return err
}

// reportEnvelope is the answer's outermost shape.
type reportEnvelope struct {
	Status string `json:"status"`
	Result any    `json:"result"`
}

// report lets through who may ask for the report, and sends what answer finds.
func (s *Service) report(answer func(context.Context, *reportAnswer) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := s.reportQuestion(w, r)
		if err != nil {
			return err
		}
		done, err := s.turn(r.Context())
		if err != nil {
			return err
		}
		defer done()
		a := &reportAnswer{reportQuestion: q, service: s}
		err = answer(r.Context(), a)
		if a.view != nil {
			defer a.view.close()
		}
		if field, ok := errors.AsType[*report.FieldError](err); ok {
			return badField(field.Field, field.Reason)
		}
		if err != nil {
			return err
		}
		a.view.headers(w.Header())
		return s.writeAnswer(w, reportEnvelope{Status: "OK", Result: a.result})
	}
}

func (s *Service) reportQuestion(w http.ResponseWriter, r *http.Request) (q reportQuestion, err error) {
	who, err := s.session(r)
	if err != nil {
		return q, err
	}
	if q.product, err = s.product(r, who); err != nil {
		return q, err
	}
	if q.want, err = watermarkOf(r); err != nil {
		return q, err
	}
	q.today = report.DayOf(time.Now())
	return q, s.readBody(w, r, &q.body)
}

func (*Service) dateRange(ctx context.Context, a *reportAnswer) error {
	q, err := report.NewCount(&a.body, a.today)
	if err != nil {
		return err
	}
	return a.count(ctx, q)
}

func (*Service) current(ctx context.Context, a *reportAnswer) error {
	q, err := report.NewCurrentCount(&a.body, a.today)
	if err != nil {
		return err
	}
	return a.count(ctx, q)
}

func (a *reportAnswer) count(ctx context.Context, q *report.Count) error {
	if err := a.gather(ctx, q); err != nil {
		return err
	}
	a.result = q.Answer()
	return nil
}

func (*Service) usageDistribution(ctx context.Context, a *reportAnswer) error {
	q, err := report.NewUsageDistribution(&a.body, a.today)
	if err != nil {
		return err
	}
	if err := a.gather(ctx, q); err != nil {
		return err
	}
	a.result = q.Answer()
	return nil
}

func (*Service) eventTable(ctx context.Context, a *reportAnswer) error {
	q, err := report.NewEventTable(&a.body, a.today)
	if err != nil {
		return err
	}
	if err := a.gatherEvents(ctx, q); err != nil {
		return err
	}
	a.result = q.Answer()
	return nil
}

func (*Service) eventTimeline(ctx context.Context, a *reportAnswer) error {
	q, err := report.NewEventTimeline(&a.body, a.today)
	if err != nil {
		return err
	}
	if err := a.gatherEvents(ctx, q); err != nil {
		return err
	}
	a.result = q.Answer()
	return nil
}

// tallied is a question about events of a range.
type tallied interface {
	Range() report.Range
	AddDay(*rollup.ClientDay)
	AddEvent(*rollup.EventDay)
}

// gatherEvents plans for q and adds the rows of its range.
func (a *reportAnswer) gatherEvents(ctx context.Context, q tallied) error {
	if err := a.plan(ctx, lake.ClientDays, lake.EventDays); err != nil {
		return err
	}
	in := lake.Filter{Products: []int64{a.product.ID}}
	in.TimeFrom, in.TimeTo = q.Range().Milliseconds()
	if err := each(a.view.clientDays(ctx, in), q.AddDay); err != nil {
		return err
	}
	return each(a.view.eventDays(ctx, in), q.AddEvent)
}

// gathered is a question about clients, and the rows that it needs.
type gathered interface {
	Range() report.Range
	Lives() bool  // every client
	Days() bool   // client days of the range
	Usages() bool // event days of all times
	AddClient(*rollup.Client)
	AddDay(*rollup.ClientDay)
	AddUsage(*rollup.EventDay)
	NeedsPast() bool // client days up to the end of the range; known when lives were added
	AddPast(*rollup.ClientDay)
}

// gather plans for q and adds the rows that it needs. A question that reads no
// property, and no life, is answered from the client days of its range alone.
func (a *reportAnswer) gather(ctx context.Context, q gathered) error {
	tables := []lake.Table{lake.ClientDays}
	if q.Lives() {
		tables = append(tables, lake.Clients)
	}
	if q.Usages() {
		tables = append(tables, lake.EventDays)
	}
	if err := a.plan(ctx, tables...); err != nil {
		return err
	}
	all := lake.Filter{Products: []int64{a.product.ID}}
	if q.Lives() {
		if err := each(a.view.clients(ctx, all), q.AddClient); err != nil {
			return err
		}
	}
	if q.Usages() {
		if err := each(a.view.eventDays(ctx, all), q.AddUsage); err != nil {
			return err
		}
	}
	in := all
	in.TimeFrom, in.TimeTo = q.Range().Milliseconds()
	if q.Days() {
		if err := each(a.view.clientDays(ctx, in), q.AddDay); err != nil {
			return err
		}
	}
	if !q.NeedsPast() {
		return nil
	}
	in.TimeFrom = 0
	return each(a.view.clientDays(ctx, in), q.AddPast)
}

// each hands every row to add.
func each[R any](rows func(func(*R, error) bool), add func(*R)) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		add(row)
	}
	return nil
}
