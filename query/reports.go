package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"weir/query/report"
	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
)

// reportEndpoint is one report of the Reporting API: its path, and the function
// that compiles its question. Everything else is the same for all reports.
type reportEndpoint struct {
	path, name string
	compile    func(*report.Body, report.Params) (*report.Question, error)
	flags      bool // compile needs to know which events are collected as basic and as advanced
}

// exportClientList is the path of the export of all clients, which lists every
// property unless the request names some.
const exportClientList = "/v3/export/request/clientPropertyList"

// reportEndpoints lists the reports. The client list is published under two paths.
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
		{exportClientList, "export_client_list", report.NewClientList, false},
	}
}

// reports answers the reports of the Reporting API. reporting.md lists what was
// decided where the published API is silent.
type reports struct {
	responder
	registry *registry.Registry
	bytes    int64 // see Config.ReportBytes
	pageSize int   // clients of a page of clientPropertyList; 0 means the published 200. Tests lower it
}

// answer returns the handler of one report.
func (rp *reports) answer(e reportEndpoint) func(http.ResponseWriter, *http.Request, productQuestion) error {
	return func(w http.ResponseWriter, r *http.Request, ask productQuestion) error {
		var body report.Body
		if err := rp.readBody(w, r, &body); err != nil {
			return err
		}
		if e.path == exportClientList && body.Properties == nil {
			var err error
			if body.Properties, err = rp.everyProperty(r.Context(), ask); err != nil {
				return err
			}
		}
		q, err := rp.compile(r.Context(), e, ask.product.ID, &body)
		if err != nil {
			return requestErrorOf(err)
		}
		return rp.answerFromView(w, r, ask.product.Account, func(ctx context.Context) (*view.View, error) {
			return rp.plan(ctx, ask, q)
		}, func(ctx context.Context, v *view.View) (any, error) {
			answer, err := q.Answer(ctx, newReportSource(v, q, ask.product.ID))
			if err != nil {
				return nil, requestErrorOf(err)
			}
			if answer.ManyEvents {
				rp.manyEvents.Inc()
			}
			return append(report.Object{{Name: "status", Value: "OK"}, {Name: "result", Value: answer.Result}}, answer.More...), nil
		})
	}
}

// everyProperty names the properties that an export of everything lists: those of
// the catalogue, and the user attributes that the product's clients have.
func (rp *reports) everyProperty(ctx context.Context, ask productQuestion) ([]string, error) {
	place, err := rp.views.AcquireScan(ctx, ask.product.Account)
	if err != nil {
		return nil, err
	}
	defer place.Release()
	filter := columns.Filter{Products: []int64{ask.product.ID}}
	v, err := rp.views.Plan(ctx, view.Request{Columns: []string{columns.Offset}, Filter: filter, Watermark: ask.watermark, Changes: true})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	attributes, err := userAttributeNames(ctx, v, filter)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, category := range append(allProperties(nil), userAttributeCategories(attributes)...) {
		for _, p := range category.Properties {
			names = append(names, p.Name)
		}
	}
	for _, set := range attributes {
		if set.full || len(set.values) > set.limit {
			return nil, badField("properties", fmt.Sprintf("is missing, and clients have more than %d user attributes: name those that are wanted", valuesPage))
		}
	}
	return names, nil
}

// requestErrorOf makes a 400 of an error in a field of the body.
func requestErrorOf(err error) error {
	if field, ok := errors.AsType[*report.FieldError](err); ok {
		return badField(field.Field, field.Reason)
	}
	return err
}

// compile compiles the question with the product's settings that it depends on.
func (rp *reports) compile(ctx context.Context, e reportEndpoint, product int64, body *report.Body) (*report.Question, error) {
	params := report.Params{Now: time.Now(), Bytes: rp.bytes, Page: rp.pageSize, Cost: rp.cost.Question()}
	var err error
	if body.GroupBy != nil {
		if params.Types, err = rp.registry.PropertyTypes(ctx, product); err != nil {
			return nil, err
		}
	}
	if e.flags {
		flags, err := rp.registry.EventFlags(ctx, product)
		if err != nil {
			return nil, err
		}
		params.Collected = func(category, name string) (basic, advanced bool) {
			f := flagsOf(flags, registry.EventName{HasCategory: category != "", Category: category, Name: name})
			return f.Basic, f.Advanced
		}
	}
	q, err := e.compile(body, params)
	if err != nil {
		return nil, err
	}
	return q, q.Check()
}

// plan plans for a question: all rollups, because any pass may read any of them,
// or that of clients alone, which says whether somebody ever opted out, if the
// question is answered from the events themselves.
func (rp *reports) plan(ctx context.Context, ask productQuestion, q *report.Question) (*view.View, error) {
	req := view.Request{
		Columns: eventColumns(q, false), Filter: columns.Filter{Products: []int64{ask.product.ID}}, Watermark: ask.watermark,
		Changes: q.ReadsUserAttributes(), OptOuts: q.CountsClients(),
	}
	if req.Rollups = lake.Rollups(); q.NeedsEvents() {
		req.Rollups = []lake.Table{lake.Clients}
	}
	return rp.views.Plan(ctx, req)
}
