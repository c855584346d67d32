package report

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Body is the request of a report. Each report reads the members that its
// contract gives it.
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

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// readRange reads startDate and stopDate.
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

// readSplit reads dateSplit; null and none are no split.
func (b *Body) readSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, nil
	}
	return ParseSplit("dateSplit", *b.DateSplit)
}

// readRequiredSplit reads a dateSplit that must be there.
func (b *Body) readRequiredSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, fieldErrorf("dateSplit", "is missing: day, week or month")
	}
	return b.readSplit()
}

// status is what a client can be in a bucket.
type status int

const (
	isNew status = iota
	isActive
	isLost
	statuses // how many there are
)

func (s status) String() string { return [...]string{"new", "active", "lost"}[s] }

// lossRule say when a client is lost.
type lossRule struct {
	after      Day // days without contact
	onDeclared bool
	today      Day
}

// lostOn is the day on which a client last seen on a day is lost; false while it
// is not.
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

// readStatuses reads clientStatus and, if lost is among them, what lost means.
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

// maxLostAfter bounds daysUntilDeclaredLost.
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

// readLossPeriod reads daysUntilDeclaredLost alone.
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
