package query

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/registry"
	"weir/schemas/values"
)

// eventsAPI answers the Events API.
type eventsAPI struct {
	responder
	credentials
	cors         cors
	lookback     time.Duration // see Config.Lookback
	maxKeys      int64         // see view.OrderedScan; 0 means its default. Tests lower it
	maxPageBytes int           // of rows held at once; 0 means maxPageBytes. Tests lower it
}

// mount adds the paths of the API to mux.
func (a *eventsAPI) mount(mux *http.ServeMux, rt *router) {
	mux.Handle("/analytics/api/v1/events", a.cors.wrap(http.MethodPost, rt.handle(endpoint{
		name: "events", method: http.MethodPost, answer: a.answer, encodeError: encodeEventsError,
	})))
	mux.Handle("/analytics/api/v1/traffic/event-counts", a.cors.wrap(http.MethodPost, rt.handle(endpoint{
		name: "event_counts", method: http.MethodPost, answer: a.answerCounts, encodeError: encodeEventsError,
	})))
	rt.handleUnknown(mux, "/analytics/", "events_unknown", encodeEventsError)
}

// answer answers with one page of the events of a period.
//
// Events are ordered by time, then shard, then offset; latest first is the
// exact reverse. No two events are equal in that order, so pages never overlap
// under one watermark.
func (a *eventsAPI) answer(w http.ResponseWriter, r *http.Request) error {
	principal, err := a.principal(r)
	if err != nil {
		return err
	}
	large, err := a.beginQuestion(r, principal.Account)
	if err != nil {
		return err
	}
	defer large.Release()
	ask, err := decodeEventsQuestion(a.body(w, r), a.lookback)
	if err != nil {
		return err
	}
	if ask.watermark, err = requestedWatermark(r); err != nil {
		return err
	}
	ask.products = principal.Products
	place, err := a.views.AcquireScan(r.Context(), principal.Account)
	if err != nil {
		return err
	}
	defer place.Release()
	p, err := a.plan(r.Context(), ask)
	if err != nil {
		return err
	}
	defer p.view.Close()
	setCoverage(w.Header(), p.view.Coverage())
	if p.rows.complete == len(p.rows.keys) { // nothing is read any more while the client reads
		p.view.Close()
		place.Leave()
	}
	w.Header().Set("Content-Type", "application/json")
	return a.write(&answerWriter{limits: a.limits, to: w, place: place}, r, p)
}

// principal returns who asks, by the credentials of r, which see one product at
// least.
func (a *eventsAPI) principal(r *http.Request) (registry.Principal, error) {
	principal, err := a.bearerOrBasic(r)
	if err != nil {
		return principal, err
	}
	if len(principal.Products) == 0 {
		return principal, &schemas.RequestError{Status: http.StatusForbidden, Code: "forbidden", Detail: "No product may be seen with these credentials"}
	}
	return principal, nil
}

// plan does everything that may have to be planned anew, up to the first rows of
// the page: after it the answer can be written. The caller closes the view.
func (a *eventsAPI) plan(ctx context.Context, ask *eventsQuestion) (*eventsPage, error) {
	var p *eventsPage
	err := a.views.Retry(func() error {
		v, err := a.views.Plan(ctx, ask.request())
		if err != nil {
			return err
		}
		if p, err = a.page(ctx, ask, v); err != nil {
			v.Close()
		}
		return err
	})
	return p, err
}

// page counts the events of v, finds those of the page, and loads its first rows.
func (a *eventsAPI) page(ctx context.Context, ask *eventsQuestion, v *view.View) (*eventsPage, error) {
	scan := &view.OrderedScan{
		View: v, From: ask.scanned.from, To: ask.scanned.to, Filter: ask.filter(), Columns: ask.columns(), Wants: ask.wants, MaxKeys: a.maxKeys,
		Texts: ask.texts(), TextsDecide: ask.textsDecide(),
	}
	keys, total, err := scan.Page(ctx, ask.skipped(), ask.perPage, !ask.oldestFirst)
	if err != nil {
		return nil, err
	}
	rows := &pageRows{view: v, keys: keys, filter: ask.filter(), maxBytes: cmp.Or(a.maxPageBytes, maxPageBytes)}
	return &eventsPage{ask: ask, view: v, total: total, rows: rows}, rows.load(ctx)
}

// request asks for the columns that counting reads and no more: the rows of the
// page are few, and are read by a second scan.
func (q *eventsQuestion) request() view.Request {
	return view.Request{
		Columns: append([]string{columns.Time, columns.Shard, columns.Offset}, q.columns()...),
		Filter:  q.filter(), Watermark: q.watermark, Exact: true,
	}
}

// filter lets through the events of the period and of the products that the asker
// may see. Names, ids and users are compared row by row: see wants.
func (q *eventsQuestion) filter() columns.Filter {
	return columns.Filter{Products: q.products, TimeFrom: q.scanned.from, TimeTo: q.scanned.to}
}

// skipped returns how many events come before the page.
func (q *eventsQuestion) skipped() int64 {
	if q.page-1 > math.MaxInt64/q.perPage-1 {
		return math.MaxInt64 - q.perPage
	}
	return (q.page - 1) * q.perPage
}

// eventsPage is a whole answer of the Events API.
type eventsPage struct {
	ask   *eventsQuestion
	view  *view.View
	total int64
	rows  *pageRows
}

// last reports whether no events come after the page.
func (p *eventsPage) last() bool {
	return p.ask.page > p.total/p.ask.perPage || p.ask.page*p.ask.perPage >= p.total
}

// write writes the answer, and loads rows as it reaches them.
func (*eventsAPI) write(w *answerWriter, r *http.Request, p *eventsPage) error {
	out := &streamWriter{to: w}
	out.buf = append(out.buf, `{"startDate":"`...)
	out.buf = time.UnixMilli(p.ask.from).UTC().AppendFormat(out.buf, values.SecondLayout)
	out.buf = append(out.buf, `","endDate":"`...)
	out.buf = time.UnixMilli(p.ask.to).UTC().AppendFormat(out.buf, values.SecondLayout)
	out.buf = append(out.buf, `","paging":{"page":`...)
	out.buf = strconv.AppendInt(out.buf, p.ask.page, 10)
	out.buf = append(out.buf, `,"perPage":`...)
	out.buf = strconv.AppendInt(out.buf, p.ask.perPage, 10)
	out.buf = append(out.buf, `,"totalCount":`...)
	out.buf = strconv.AppendInt(out.buf, p.total, 10)
	out.buf = append(out.buf, `,"lastPage":`...)
	out.buf = strconv.AppendBool(out.buf, p.last())
	out.buf = append(out.buf, `},"results":[`...)
	for i := range p.rows.keys {
		row, err := p.rows.at(r.Context(), i)
		if err != nil {
			return err
		}
		out.buf = append(out.separate(), row...)
		if err := out.flush(streamBytes); err != nil {
			return err
		}
	}
	out.buf = append(out.buf, "]}\n"...)
	return out.flush(0)
}

// encodeEventsError writes the error body of the Events API, which publishes none:
// status, a stable code, a text and, if there is one, the bad field.
func encodeEventsError(w http.ResponseWriter, re *schemas.RequestError) {
	body := struct {
		Status  int    `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Field   string `json:"field,omitempty"`
	}{Status: re.Status, Code: re.Code, Message: re.Detail}
	if len(re.Items) > 0 {
		body.Field = re.Items[0].Field
	}
	if re.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer, Basic realm="weir"`)
	}
	writeJSON(w, re.Status, body)
}
