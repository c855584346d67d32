package query

import (
	"context"
	"errors"
	"net/http"
	"time"

	"weir/query/report"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
)

// reportEndpoint is one report of contract 4: its path, and what compiles its
// question. Everything else is the same for all of them.
type reportEndpoint struct {
	path, name string
	compile    func(*report.Body, report.Params) (*report.Question, error)
	flags      bool // which events are collected as basic and advanced matters
}

func reportEndpoints() []reportEndpoint {
	const reporting = "/v3/reporting/"
	return []reportEndpoint{
		{reporting + "generic/dateRange", "report_date_range", report.NewDateRange, false},
		{reporting + "generic/current", "report_current", report.NewCurrent, false},
		{reporting + "engagement/usageDistribution", "report_usage_distribution", report.NewUsageDistribution, false},
		{reporting + "engagement/churnAndEngagement", "report_churn_and_engagement", report.NewCohorts, false},
		{reporting + "eventTracking/basic/dataTable", "report_event_table", report.NewEventTable, true},
		{reporting + "eventTracking/basic/timeline", "report_event_timeline", report.NewEventTimeline, true},
		{reporting + "eventTracking/advanced/fullReport", "report_full", report.NewFullReport, true},
		{reporting + "eventTracking/lifetime/histogram", "report_lifetime_histogram", report.NewLifetimeHistogram, false},
		{reporting + "eventTracking/lifetime/dataTable", "report_lifetime_table", report.NewLifetimeTable, false},
		{reporting + "eventTracking/churn/lifetime/histogram", "report_churn_event_histogram", report.NewChurnEventHistogram, false},
		{reporting + "eventTracking/churn/lifetime/dataTable", "report_churn_table", report.NewChurnTable, false},
		{reporting + "churn/histogram/days", "report_churn_days", report.NewChurnHistogram("days"), false},
		{reporting + "churn/histogram/sessions", "report_churn_sessions", report.NewChurnHistogram("sessions"), false},
		{reporting + "churn/histogram/runtime", "report_churn_runtime", report.NewChurnHistogram("runtime"), false},
		{reporting + "clientPropertyList", "report_client_list", report.NewClientList, false},
		{"/v3/export/request/clientPropertyList", "export_client_list", report.NewClientList, false},
	}
}

// reportRoutes mounts the reports of contract 4. README.md lists what was
// decided where the contract is silent.
func (s *Service) reportRoutes(at func(method, path, name string, answer func(http.ResponseWriter, *http.Request) error)) {
	for _, e := range reportEndpoints() {
		at(http.MethodPost, e.path+"/{product_id}", e.name, s.managed(func(w http.ResponseWriter, r *http.Request, ask productQuestion) error {
			return s.report(w, r, e, ask)
		}))
	}
}

// report answers a question of one report.
func (s *Service) report(w http.ResponseWriter, r *http.Request, e reportEndpoint, ask productQuestion) error {
	var body report.Body
	if err := s.readBody(w, r, &body); err != nil {
		return err
	}
	q, err := s.compile(r.Context(), e, ask.product.ID, &body)
	if err != nil {
		return spellFieldError(err)
	}
	return s.answer(w, r, func(ctx context.Context) (*view, error) {
		return s.planReport(ctx, ask, q)
	}, func(ctx context.Context, v *view) (any, error) {
		answer, err := q.Answer(ctx, &source{view: v, question: q, filter: columns.Filter{Products: []int64{ask.product.ID}}})
		if err != nil {
			return nil, spellFieldError(err)
		}
		return append(report.Object{{Name: "status", Value: "OK"}, {Name: "result", Value: answer.Result}}, answer.More...), nil
	})
}

// spellFieldError makes a 400 of what the body has wrong.
func spellFieldError(err error) error {
	if field, ok := errors.AsType[*report.FieldError](err); ok {
		return badField(field.Field, field.Reason)
	}
	return err
}

// compile compiles the question with what it rests on.
func (s *Service) compile(ctx context.Context, e reportEndpoint, product int64, body *report.Body) (*report.Question, error) {
	given := report.Params{Now: time.Now(), Bytes: s.cfg.ReportBytes, Page: s.listPage}
	var err error
	if body.GroupBy != nil {
		if given.Types, err = s.deps.Registry.PropertyTypes(ctx, product); err != nil {
			return nil, err
		}
	}
	if e.flags {
		flags, err := s.deps.Registry.EventFlags(ctx, product)
		if err != nil {
			return nil, err
		}
		given.Collected = func(category, name string) (basic, advanced bool) {
			how := flagsOf(flags, registry.EventName{HasCategory: category != "", Category: category, Name: name})
			return how.Basic, how.Advanced
		}
	}
	return e.compile(body, given)
}

// planReport plans for a question: all rollups, so that any pass may read any,
// or no rollup where the events themselves are asked.
func (s *Service) planReport(ctx context.Context, ask productQuestion, q *report.Question) (*view, error) {
	of := question{
		columns: eventColumns(q), filter: columns.Filter{Products: []int64{ask.product.ID}}, watermark: ask.want, changes: q.ReadsUserAttributes(),
	}
	if !q.NeedsEvents() {
		of.rollups = lake.Rollups()
	}
	return s.plan(ctx, of)
}
