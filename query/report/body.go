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

// dates reads startDate and stopDate.
func (b *Body) dates(today Day, split Split) (Range, error) {
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

// split reads dateSplit; null and none are no split.
func (b *Body) split() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, nil
	}
	return ParseSplit("dateSplit", *b.DateSplit)
}

// needSplit reads a dateSplit that must be there.
func (b *Body) needSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, wrong("dateSplit", "is missing: day, week or month")
	}
	return b.split()
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

// losses say when a client is lost.
type losses struct {
	after    Day // days without contact
	declared bool
	today    Day
}

// day is the day on which a client last seen on a day is lost; false while it
// is not.
func (l *losses) day(last Day) (Day, bool) {
	declared := last + l.after
	if declared > l.today {
		return 0, false
	}
	if l.declared {
		return declared, true
	}
	return last, true
}

// wanted reads clientStatus and, if lost is among them, what lost means.
func (b *Body) wanted(today Day) (want [statuses]bool, lost losses, err error) {
	if len(b.ClientStatus) == 0 {
		return want, lost, wrong("clientStatus", "is missing: one or more of new, active, lost")
	}
	for i, word := range b.ClientStatus {
		known := false
		for s := range statuses {
			if s.String() == word {
				want[s], known = true, true
			}
		}
		if !known {
			return want, lost, wrong("clientStatus."+strconv.Itoa(i), "%q is not new, active or lost", word)
		}
	}
	if !want[isLost] {
		return want, lost, nil
	}
	lost, err = b.lost(today)
	return want, lost, err
}

// maxLostAfter bounds daysUntilDeclaredLost.
const maxLostAfter = 36_500

// lost reads daysUntilDeclaredLost and dateReportedLost.
func (b *Body) lost(today Day) (losses, error) {
	l, err := b.lostAfter(today)
	if err != nil {
		return l, err
	}
	switch on := text(b.DateReportedLost); on {
	case "":
		return l, wrong("dateReportedLost", "is missing")
	case "dateLastSeen":
	case "dateDeclaredLost":
		l.declared = true
	default:
		return l, wrong("dateReportedLost", "%q is not dateLastSeen or dateDeclaredLost", on)
	}
	return l, nil
}

// lostAfter reads daysUntilDeclaredLost alone.
func (b *Body) lostAfter(today Day) (losses, error) {
	l := losses{today: today}
	if b.DaysUntilLost == nil || b.DaysUntilLost.Kind() == 'n' {
		return l, wrong("daysUntilDeclaredLost", "is missing")
	}
	n, err := strconv.Atoi(string(b.DaysUntilLost))
	if err != nil || n < 1 || n > maxLostAfter {
		return l, wrong("daysUntilDeclaredLost", "must be a whole number from 1 to %d", maxLostAfter)
	}
	l.after = Day(n)
	return l, nil
}
