package query

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"weir/query/report"
	"weir/schemas/rollup"
	"weir/schemas/values"
)

// countsQuestion is a question for event counts, checked. Its dates are what
// clocks of its time zone show: an event is in the period if they showed a time
// in it. Such times are in milliseconds since the clocks showed
// 1970-01-01T00:00 ("wall" below).
type countsQuestion struct {
	eventsQuestion                    // filters, products, watermark; its period is that of the instants to scan
	startDate, endDate, groupByPeriod string
	zone                              report.Zone
	wall                              interval // half-open; whole seconds
	periods                           report.Range
}

// countsBody is the published request body. TimeZone is an addition of Weir.
type countsBody struct {
	StartDate     *string        `json:"startDate"`
	EndDate       *string        `json:"endDate"`
	GroupByPeriod *string        `json:"groupByPeriod"`
	TimeZone      string         `json:"timeZone"`
	Filters       *eventsFilters `json:"filters"`
}

// maxZoneOffset is more than any clock is ahead of UTC or behind it, in
// milliseconds.
const maxZoneOffset = dayMS

// decodeCountsQuestion reads and checks a question.
func decodeCountsQuestion(body io.Reader, now time.Time, lookback time.Duration) (*countsQuestion, error) {
	var in countsBody
	err := json.UnmarshalRead(body, &in)
	if err != nil {
		return nil, badBody(err)
	}
	q := new(countsQuestion)
	if q.zone, err = report.ParseZone(in.TimeZone); err != nil {
		if wrong, ok := errors.AsType[*report.FieldError](err); ok {
			return nil, fieldError("bad_value", wrong.Field, wrong.Reason)
		}
		return nil, err
	}
	if err := q.setPeriod(&in, now, lookback); err != nil {
		return nil, err
	}
	if err := q.setPeriods(&in); err != nil {
		return nil, err
	}
	if in.Filters != nil {
		return q, q.setFilters(in.Filters)
	}
	return q, nil
}

// setPeriod reads both dates, which are required here. Now and the lookback are
// compared with what clocks of the zone show.
func (q *countsQuestion) setPeriod(in *countsBody, now time.Time, lookback time.Duration) error {
	for _, date := range []struct {
		field string
		text  *string
		at    *int64
	}{{"startDate", in.StartDate, &q.wall.from}, {"endDate", in.EndDate, &q.wall.to}} {
		if date.text == nil {
			return fieldError("missing_field", date.field, "is required")
		}
		t, ok := values.DateTime(*date.text)
		if !ok {
			return fieldError("bad_date", date.field, badDate)
		}
		*date.at = t.UnixMilli()
	}
	wallNow := time.UnixMilli(q.zone.Wall(now.UnixMilli())).UTC()
	if err := checkStart(time.UnixMilli(q.wall.from).UTC(), wallNow, lookback); err != nil {
		return err
	}
	if q.wall.to <= q.wall.from {
		return fieldError("bad_period", "endDate", "must be later than startDate")
	}
	q.startDate, q.endDate = *in.StartDate, *in.EndDate
	q.scanned = q.wall
	if !q.zone.UTC() {
		q.scanned = interval{q.wall.from - maxZoneOffset, q.wall.to + maxZoneOffset}
	}
	return nil
}

// setPeriods divides the period. The first and the last part are cut off where
// the period begins and ends.
func (q *countsQuestion) setPeriods(in *countsBody) error {
	if in.GroupByPeriod == nil {
		return fieldError("missing_field", "groupByPeriod", "is required: day, week or month")
	}
	split, err := report.ParseSplit("groupByPeriod", *in.GroupByPeriod)
	if err != nil {
		return fieldError("bad_value", "groupByPeriod", "must be day, week or month")
	}
	q.groupByPeriod = *in.GroupByPeriod
	q.periods, err = report.NewRange(report.Day(rollup.Day(q.wall.from)), report.Day(rollup.Day(q.wall.to-1)), split)
	if err != nil {
		return fieldError("bad_period", "groupByPeriod", fmt.Sprintf("gives more than %d periods of a %s between these dates", report.MaxBuckets, split))
	}
	return nil
}

// wholeDays returns the days, first to end, exclusive, that the rollups can count:
// those of UTC that lie wholly in the period. Rollups have no users and no ids,
// and end where they end, not at a watermark that was sent back; then there are
// none.
func (q *countsQuestion) wholeDays() (first, end int32) {
	if !q.zone.UTC() || !q.user.empty() || q.ids != nil || len(q.randomIDs.List) > 0 || q.watermark != nil {
		return 0, 0
	}
	first, end = rollup.Day(q.wall.from+dayMS-1), rollup.Day(q.wall.to)
	if first >= end {
		return 0, 0
	}
	return first, end
}

// span returns the wall times of a period.
func (q *countsQuestion) span(period report.Bucket) interval {
	return interval{
		max(q.wall.from, int64(period.From)*dayMS),
		min(q.wall.to, int64(period.To)*dayMS),
	}
}

// appendPeriod appends the dates of a period, as a member each.
func (q *countsQuestion) appendPeriod(dst []byte, period report.Bucket) []byte {
	at := q.span(period)
	dst = append(dst, `"periodStartDate":`...)
	dst = appendWall(dst, at.from)
	dst = append(dst, `,"periodEndDate":`...)
	return appendWall(dst, at.to)
}

// appendWall appends a wall time as a date of the API: without a time if it is
// midnight, as the published samples are.
func appendWall(dst []byte, wall int64) []byte {
	layout := values.SecondLayout
	if wall%dayMS == 0 {
		layout = time.DateOnly
	}
	return strconv.AppendQuote(dst, time.UnixMilli(wall).UTC().Format(layout))
}
