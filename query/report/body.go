package report

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

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

// readRange reads startDate and stopDate, both of which are included, as
// published.
func (b *Body) readRange(today Day, split Split) (Range, error) {
	start, err := ParseDay("startDate", text(b.StartDate), today)
	if err != nil {
		return Range{}, err
	}
	stop, err := ParseDay("stopDate", text(b.StopDate), today)
	if err != nil {
		return Range{}, err
	}
	return NewRange(start, stop, split)
}

// readSplit reads dateSplit. Null and a missing member are no split.
func (b *Body) readSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, nil
	}
	return ParseSplit("dateSplit", *b.DateSplit)
}

// readRequiredSplit reads the dateSplit of reports that require one.
func (b *Body) readRequiredSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, fieldErrorf("dateSplit", "is missing: day, week or month")
	}
	return b.readSplit()
}

// status is what a client can be in a bucket. As published: a client is new in
// the bucket of its first event, active in every bucket with an event, and lost
// in the bucket of its loss (see lossRule). It may be all three in one bucket.
type status int

const (
	isNew status = iota
	isActive
	isLost
	statuses // the number of statuses
)

func (s status) String() string { return [...]string{"new", "active", "lost"}[s] }

// lossRule says when a client is lost. The published document defines a client
// as lost after daysUntilDeclaredLost days without contact, and
// dateReportedLost chooses whether it is counted on its last day or on the day
// of the declaration.
type lossRule struct {
	after      Day // daysUntilDeclaredLost
	onDeclared bool
	today      Day
}

// lostOn returns the day on which a client that was last seen on a day counts
// as lost; false while it is not lost. Today is the last day that counts: a
// client is lost when last + after ≤ today.
func (l *lossRule) lostOn(last Day) (Day, bool) {
	declared := last + l.after
	if declared > l.today {
		return 0, false
	}
	if l.onDeclared {
		return declared, true
	}
	return last, true
}

// readStatuses reads clientStatus and, if lost is requested, the rule for it.
func (b *Body) readStatuses(today Day) (want [statuses]bool, lost lossRule, err error) {
	if len(b.ClientStatus) == 0 {
		return want, lost, fieldErrorf("clientStatus", "is missing: one or more of new, active, lost")
	}
	for i, word := range b.ClientStatus {
		known := false
		for s := range statuses {
			if s.String() == word {
				want[s], known = true, true
			}
		}
		if !known {
			return want, lost, fieldErrorf("clientStatus."+strconv.Itoa(i), "%q is not new, active or lost", word)
		}
	}
	if !want[isLost] {
		return want, lost, nil
	}
	lost, err = b.readLossRule(today)
	return want, lost, err
}

// maxLostAfter is the largest daysUntilDeclaredLost: a hundred years of days.
const maxLostAfter = 36_500

// readLossRule reads daysUntilDeclaredLost and dateReportedLost.
func (b *Body) readLossRule(today Day) (lossRule, error) {
	l, err := b.readLossPeriod(today)
	if err != nil {
		return l, err
	}
	switch on := text(b.DateReportedLost); on {
	case "":
		return l, fieldErrorf("dateReportedLost", "is missing")
	case "dateLastSeen":
	case "dateDeclaredLost":
		l.onDeclared = true
	default:
		return l, fieldErrorf("dateReportedLost", "%q is not dateLastSeen or dateDeclaredLost", on)
	}
	return l, nil
}

// readLossPeriod reads daysUntilDeclaredLost alone, for the report that has no
// dateReportedLost.
func (b *Body) readLossPeriod(today Day) (lossRule, error) {
	l := lossRule{today: today}
	if b.DaysUntilLost == nil || b.DaysUntilLost.Kind() == 'n' {
		return l, fieldErrorf("daysUntilDeclaredLost", "is missing")
	}
	n, err := strconv.Atoi(string(b.DaysUntilLost))
	if err != nil || n < 1 || n > maxLostAfter {
		return l, fieldErrorf("daysUntilDeclaredLost", "must be a whole number from 1 to %d", maxLostAfter)
	}
	l.after = Day(n)
	return l, nil
}
