package report

import (
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/values"
)

// Body is the JSON body of a report request. Each report reads the members that
// the published document gives it, and ignores the others. Members marked ours
// are additions of Weir.
type Body struct {
	StartDate        *string        `json:"startDate"`
	StopDate         *string        `json:"stopDate"`
	DateSplit        *string        `json:"dateSplit"`
	ClientStatus     values.Strings `json:"clientStatus"`
	DaysUntilLost    jsontext.Value `json:"daysUntilDeclaredLost"`
	DateReportedLost *string        `json:"dateReportedLost"`
	GroupBy          *string        `json:"groupBy"`
	TimeZone         *string        `json:"timeZone"`        // ours
	EventProperties  jsontext.Value `json:"eventProperties"` // ours
	GlobalFilters    jsontext.Value `json:"globalFilters"`
	Levels           jsontext.Value `json:"levels"`
	SegmentBy        *string        `json:"segmentBy"`
	Segments         jsontext.Value `json:"segments"`
	DataView         *string        `json:"dataView"`
	Divisor          *string        `json:"divisor"`
	Events           jsontext.Value `json:"events"`
	LowerBounds      jsontext.Value `json:"lowerBounds"`
	BinUpperBounds   jsontext.Value `json:"binUpperBounds"`
	Categorize       *bool          `json:"categorizeEvents"`
	Sorting          jsontext.Value `json:"sorting"`
	StartAtRow       *values.Int    `json:"startAtRow"` // ours
	Limit            *values.Int    `json:"limit"`      // ours
	StartAtClientID  *string        `json:"startAtClientId"`
	Properties       values.Strings `json:"properties"`
	RetDailyData     jsontext.Value `json:"retDailyData"`
}

// checkTypes refuses a member of a type that it never has, also where the report
// does not read it: the same question with a clientStatus more must not fail for
// what was there before. The members with a Go type of their own were checked when
// they were decoded.
func (b *Body) checkTypes() error {
	for _, m := range []struct {
		name  string
		value jsontext.Value
		kind  jsontext.Kind
		want  string
	}{
		{"eventProperties", b.EventProperties, '{', "an object"},
		{"globalFilters", b.GlobalFilters, '{', "an object"},
		{"levels", b.Levels, '{', "an object"},
		{"segments", b.Segments, '[', "an array of segments"},
		{"events", b.Events, '[', "an array of events"},
		{"lowerBounds", b.LowerBounds, '{', "an object"},
		{"binUpperBounds", b.BinUpperBounds, '{', "an object"},
		{"sorting", b.Sorting, '{', "an object"},
		{"retDailyData", b.RetDailyData, '{', "an object"},
	} {
		if m.value != nil && m.value.Kind() != 'n' && m.value.Kind() != m.kind {
			return fieldErrorf(m.name, "must be %s", m.want)
		}
	}
	if b.DaysUntilLost == nil || b.DaysUntilLost.Kind() == 'n' {
		return nil
	}
	if _, whole := values.Whole(b.DaysUntilLost); b.DaysUntilLost.Kind() != '0' || !whole {
		return errDaysUntilLost()
	}
	return nil
}

// text returns a string that may be absent or null as "".
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
