package report

import "github.com/go-json-experiment/json/jsontext"

// Body is the JSON body of a report request. Each report reads the members that
// the published document gives it, and ignores the others. Members marked ours
// are additions of Weir.
type Body struct {
	StartDate        *string        `json:"startDate"`
	StopDate         *string        `json:"stopDate"`
	DateSplit        *string        `json:"dateSplit"`
	ClientStatus     []string       `json:"clientStatus"`
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
	StartAtRow       *int64         `json:"startAtRow"` // ours
	Limit            *int64         `json:"limit"`      // ours
	StartAtClientID  *string        `json:"startAtClientId"`
	Properties       []string       `json:"properties"`
	RetDailyData     jsontext.Value `json:"retDailyData"`
}

// text returns a string that may be absent or null as "".
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
