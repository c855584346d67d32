package query

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/cost"
	"weir/query/view"
	"weir/schemas/values"
)

const (
	maxPerPage     = 1000
	defaultPerPage = 10
)

// eventsQuestion is a question of the Events API, checked and with its defaults.
type eventsQuestion struct {
	from, to      int64 // epoch milliseconds, half-open; whole seconds
	names         cost.Texts
	randomIDs     cost.Texts
	ids           map[view.RowID]bool // nil is every event
	scanned       interval            // of the period, what a scan has to read: less only if ids are given
	user          userFilter
	page, perPage int64
	oldestFirst   bool

	products  []int64        // that the asker may see
	watermark view.Watermark // that was sent back; nil is none
}

// eventsBody is the published request body. Unknown fields are ignored.
type eventsBody struct {
	StartDate *string        `json:"startDate"`
	EndDate   *string        `json:"endDate"`
	Filters   *eventsFilters `json:"filters"`
	Paging    *eventsPaging  `json:"paging"`
	SortOrder *string        `json:"sortOrder"`
}

// eventsFilters is the published member filters.
//
// ID and RandomID, each a list or one string as the documents show user.id, are additions of Weir: they find an event again by the id of an
// answer, and by that of its producer.
type eventsFilters struct {
	Name     values.Strings    `json:"name"`
	ID       values.OneOrMany  `json:"id"`
	RandomID values.OneOrMany  `json:"randomId"`
	User     *eventsUserFilter `json:"user"`
}

// eventsUserFilter is the published member filters.user.
type eventsUserFilter struct {
	ID    values.OneOrMany `json:"id"`
	Realm values.Strings   `json:"realm"`
	Group values.Strings   `json:"group"`
	Role  values.Strings   `json:"role"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. Members with other names are
// refused, those of user too: a misspelled filter would filter nothing.
func (f *eventsFilters) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain eventsFilters
	return json.UnmarshalDecode(dec, (*plain)(f), json.RejectUnknownMembers(true))
}

// eventsPaging is the published member paging, of which both members are required.
type eventsPaging struct {
	Page    *values.Int `json:"page"`
	PerPage *values.Int `json:"perPage"`
}

// decodeEventsQuestion reads and checks a question.
func decodeEventsQuestion(body io.Reader, lookback time.Duration) (*eventsQuestion, error) {
	var in eventsBody
	if err := json.UnmarshalRead(body, &in); err != nil {
		return nil, badBody(err)
	}
	q := &eventsQuestion{page: 1, perPage: defaultPerPage}
	if err := q.setPeriod(&in, time.Now(), lookback); err != nil {
		return nil, err
	}
	if err := q.setPaging(in.Paging); err != nil {
		return nil, err
	}
	if err := q.setOrder(in.SortOrder); err != nil {
		return nil, err
	}
	if in.Filters != nil {
		if err := q.setFilters(in.Filters); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// setFilters reads the filters. The first id that is none is a 400: it can only be
// a mistake, and most likely it is a random_id.
func (q *eventsQuestion) setFilters(in *eventsFilters) error {
	q.names, q.randomIDs = cost.NewTexts(in.Name), cost.NewTexts(in.RandomID)
	if in.User != nil {
		q.user = newUserFilter(in.User)
	}
	if len(in.ID) == 0 {
		return nil
	}
	q.ids = make(map[view.RowID]bool, len(in.ID))
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i, text := range in.ID {
		key, ok := parseEventUUID(text)
		if !ok {
			return fieldError("bad_value", fmt.Sprintf("filters.id[%d]", i), "is not the id of an event; filters.randomId finds the random_id of a producer")
		}
		q.ids[key.ID()] = true
		from, to := idPeriod(key)
		first, last = min(first, from), max(last, to)
	}
	q.scanned = q.scanned.narrow(first, last)
	return nil
}

// setPeriod reads both dates. Without an end date the period ends with the current
// second, so that it has what has just arrived, and the answer can repeat the end
// in whole seconds.
func (q *eventsQuestion) setPeriod(in *eventsBody, now time.Time, lookback time.Duration) error {
	if in.StartDate == nil {
		return fieldError("missing_field", "startDate", "is required")
	}
	start, ok := values.DateTime(*in.StartDate)
	if !ok {
		return fieldError("bad_date", "startDate", badDate)
	}
	end := now.UTC().Truncate(time.Second).Add(time.Second)
	if in.EndDate != nil {
		if end, ok = values.DateTime(*in.EndDate); !ok {
			return fieldError("bad_date", "endDate", badDate)
		}
	}
	if err := checkStart(start, now, lookback); err != nil {
		return err
	}
	if !end.After(start) {
		return fieldError("bad_period", "endDate", "must be later than startDate")
	}
	q.from, q.to = start.UnixMilli(), end.UnixMilli()
	q.scanned = interval{q.from, q.to}
	return nil
}

// interval is a half-open period of epoch milliseconds.
type interval struct{ from, to int64 }

// narrow returns what p and [from, to) share; if that is nothing, the first
// millisecond of p, as a scan of no time at all would be one of all times.
func (p interval) narrow(from, to int64) interval {
	shared := interval{max(p.from, from), min(p.to, to)}
	if shared.from >= shared.to {
		return interval{p.from, p.from + 1}
	}
	return shared
}

// badDate is what is wrong with a date that values.DateTime does not read.
const badDate = "must be YYYY-mm-dd, YYYY-mm-ddTHH:MM or YYYY-mm-ddTHH:MM:SS, without a time zone"

// checkStart keeps startDate within the past year, as published, or what else the
// operator has set.
func checkStart(start, now time.Time, lookback time.Duration) error {
	if start.After(now) {
		return fieldError("bad_period", "startDate", "must not lie in the future")
	}
	if first := earliest(now, lookback); lookback > 0 && start.Before(first) {
		return fieldError("bad_period", "startDate", "must not lie before "+first.Format(values.SecondLayout)+", the earliest date that is answered")
	}
	return nil
}

// earliest returns the first startDate that a lookback allows: the beginning of a
// day, UTC, because the published limit is in days. The published year is that of
// the calendar: across a 29 February it has 366 days, one more than
// DefaultLookback.
func earliest(now time.Time, lookback time.Duration) time.Time {
	first := now.Add(-lookback)
	if year := now.UTC().AddDate(-1, 0, 0); lookback == DefaultLookback && year.Before(first) {
		first = year
	}
	return first.UTC().Truncate(24 * time.Hour)
}

// setPaging checks the page and its size; without paging the defaults stay.
func (q *eventsQuestion) setPaging(in *eventsPaging) error {
	if in == nil {
		return nil
	}
	switch {
	case in.Page == nil:
		return fieldError("missing_field", "paging.page", "is required with paging")
	case in.PerPage == nil:
		return fieldError("missing_field", "paging.perPage", "is required with paging")
	case *in.Page < 1:
		return fieldError("bad_value", "paging.page", "must be at least 1")
	case *in.PerPage < 1 || *in.PerPage > maxPerPage:
		return fieldError("bad_value", "paging.perPage", fmt.Sprintf("must be from 1 to %d", maxPerPage))
	}
	q.page, q.perPage = int64(*in.Page), int64(*in.PerPage)
	return nil
}

// setOrder accepts both published spellings, latestFirst and LatestFirst.
func (q *eventsQuestion) setOrder(in *string) error {
	switch {
	case in == nil:
		return nil
	case slices.Contains([]string{"latestFirst", "LatestFirst"}, *in):
		return nil
	case slices.Contains([]string{"oldestFirst", "OldestFirst"}, *in):
		q.oldestFirst = true
		return nil
	}
	return fieldError("bad_value", "sortOrder", "must be LatestFirst or OldestFirst")
}
