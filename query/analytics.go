package query

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"weir/schemas"
	"weir/schemas/columns"
)

// analyticsAttempts is how often a page is planned anew because an owner let
// go of its tail between the two times it was asked.
const analyticsAttempts = 3

// analyticsEvents answers contract 3: one page of the events of a period.
//
// Events are ordered by time, then shard, then offset; latest first is the
// exact reverse. So pages never overlap under one watermark.
func (s *Service) analyticsEvents(w http.ResponseWriter, r *http.Request) error {
	who, err := s.bearerOrBasic(r)
	if err != nil {
		return err
	}
	if len(who.Products) == 0 {
		return &schemas.RequestError{Status: http.StatusForbidden, Code: "forbidden", Detail: "No product may be seen with these credentials"}
	}
	ask, err := s.decodeAnalytics(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	if err != nil {
		return err
	}
	if ask.watermark, err = watermarkOf(r); err != nil {
		return err
	}
	ask.products = who.Products
	done, err := s.turn(r.Context())
	if err != nil {
		return err
	}
	defer done()
	a, err := s.prepareAnalytics(r.Context(), ask)
	if err != nil {
		return err
	}
	defer a.view.close()
	a.view.headers(w.Header())
	w.Header().Set("Content-Type", "application/json")
	return s.writeAnalytics(w, r, a)
}

// prepareAnalytics does all that may have to be planned anew: after it an
// answer can be written. The caller closes the view.
func (s *Service) prepareAnalytics(ctx context.Context, ask *analyticsQuestion) (*analyticsAnswer, error) {
	for attempt := 1; ; attempt++ {
		v, err := s.plan(ctx, ask.question())
		if err != nil {
			return nil, err
		}
		a, err := ask.on(ctx, v)
		if err == nil {
			return a, nil
		}
		v.close()
		if !errors.Is(err, errMoved) || attempt == analyticsAttempts {
			return nil, err
		}
		s.metrics.replans.Inc()
	}
}

// on counts the events of v, finds the page, and loads its first rows.
func (q *analyticsQuestion) on(ctx context.Context, v *view) (*analyticsAnswer, error) {
	of := q.survey(v)
	all, err := of.tally(ctx, of.period)
	if err != nil {
		return nil, err
	}
	keys, err := of.page(ctx, all, q)
	if err != nil {
		return nil, err
	}
	rows := &pageRows{view: v, keys: keys, filter: of.filter}
	return &analyticsAnswer{ask: q, view: v, total: all.total, rows: rows}, rows.load(ctx)
}

// question is what a plan must hold to count: no more columns than that.
func (q *analyticsQuestion) question() question {
	return question{
		columns: append([]string{columns.Time, columns.Shard, columns.Offset}, q.columns()...),
		filter:  q.filter(), watermark: q.watermark, exact: true,
	}
}

func (q *analyticsQuestion) filter() columns.Filter {
	return columns.Filter{Products: q.products, TimeFrom: q.from, TimeTo: q.to}
}

func (q *analyticsQuestion) survey(v *view) *survey {
	return &survey{view: v, filter: q.filter(), columns: q.columns(), wants: q.wants, period: v.period(q.from, q.to)}
}

// page returns the keys of the page, in the order of the answer.
func (s *survey) page(ctx context.Context, all *tally, ask *analyticsQuestion) ([]rowKey, error) {
	ranks := ask.ranks(all.total)
	var page []rowKey
	for keys, err := range s.ranks(ctx, all, ranks.from, ranks.to) {
		if err != nil {
			return nil, err
		}
		page = append(page, keys...)
	}
	if !ask.oldestFirst {
		slices.Reverse(page)
	}
	return page, nil
}

// ranks are the places of the page in ascending order of time. A page past the
// end is empty.
func (q *analyticsQuestion) ranks(total int64) interval {
	if q.page-1 > total/q.perPage {
		return interval{}
	}
	from := min((q.page-1)*q.perPage, total)
	to := min(from+q.perPage, total)
	if q.oldestFirst {
		return interval{from, to}
	}
	return interval{total - to, total - from}
}

// analyticsAnswer is the whole answer of contract 3.
type analyticsAnswer struct {
	ask   *analyticsQuestion
	view  *view
	total int64
	rows  *pageRows
}

// lastPage says that nothing comes after the page.
func (a *analyticsAnswer) lastPage() bool {
	return a.ask.page > a.total/a.ask.perPage || a.ask.page*a.ask.perPage >= a.total
}

// writeAnalytics writes the answer, and loads rows as it comes to them.
func (s *Service) writeAnalytics(w http.ResponseWriter, r *http.Request, a *analyticsAnswer) error {
	out := &writer{service: s, to: w}
	out.buf = append(out.buf, `{"startDate":"`...)
	out.buf = msTime(a.ask.from).AppendFormat(out.buf, secondLayout)
	out.buf = append(out.buf, `","endDate":"`...)
	out.buf = msTime(a.ask.to).AppendFormat(out.buf, secondLayout)
	out.buf = append(out.buf, `","paging":{"page":`...)
	out.buf = strconv.AppendInt(out.buf, a.ask.page, 10)
	out.buf = append(out.buf, `,"perPage":`...)
	out.buf = strconv.AppendInt(out.buf, a.ask.perPage, 10)
	out.buf = append(out.buf, `,"totalCount":`...)
	out.buf = strconv.AppendInt(out.buf, a.total, 10)
	out.buf = append(out.buf, `,"lastPage":`...)
	out.buf = strconv.AppendBool(out.buf, a.lastPage())
	out.buf = append(out.buf, `},"results":[`...)
	for i := range a.rows.keys {
		row, err := a.rows.at(r.Context(), i)
		if err != nil {
			return err
		}
		out.buf = append(out.separate(), row...)
		if err := out.flush(writeBytes); err != nil {
			return err
		}
	}
	out.buf = append(out.buf, "]}\n"...)
	return out.flush(0)
}

// spellAnalyticsError writes the error body of contract 3, which publishes
// none: status, a stable code, a text and, where one is to blame, the field.
func spellAnalyticsError(w http.ResponseWriter, re *schemas.RequestError) {
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
