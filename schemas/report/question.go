package report

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// base is what every question about clients has.
type base struct {
	days   Range
	props  properties
	filter filter
	atEnd  bool // values are those at the end of the range, whatever the buckets
}

// firstEnd is the end of the first bucket whose values are looked at.
func (q *base) firstEnd() int64 {
	if q.atEnd {
		return q.days.Buckets[len(q.days.Buckets)-1].endMS()
	}
	return q.days.Buckets[0].endMS()
}

// standard says that the property of a slot is kept for each day.
func (q *base) standard(slot int) bool {
	return slices.ContainsFunc(q.props.all, func(p property) bool {
		return p.source == said && p.slot == slot && p.standard
	})
}

// Range is the days that the question is about.
func (q *base) Range() Range { return q.days }

// Lives says that rows of clients' lives are needed: where values are looked
// at, or installation and loss.
func (q *base) lives() bool { return len(q.props.all) > 0 }

// Usages says that rows of event days of all times are needed.
func (q *base) Usages() bool { return len(q.props.usages) > 0 }

// Body is the part of a request that several reports share.
type Body struct {
	StartDate        *string        `json:"startDate"`
	StopDate         *string        `json:"stopDate"`
	DateSplit        *string        `json:"dateSplit"`
	ClientStatus     []string       `json:"clientStatus"`
	DaysUntilLost    jsontext.Value `json:"daysUntilDeclaredLost"`
	DateReportedLost *string        `json:"dateReportedLost"`
	GroupBy          *string        `json:"groupBy"`
	TimeZone         *string        `json:"timeZone"`
	GlobalFilters    jsontext.Value `json:"globalFilters"`
	Levels           jsontext.Value `json:"levels"`
	DataView         *string        `json:"dataView"`
	Divisor          *string        `json:"divisor"`
	Events           jsontext.Value `json:"events"`
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

// only refuses what is not served.
func (b *Body) only() error {
	if group := text(b.GroupBy); group != "" && group != "clientId" {
		return wrong("groupBy", "%q is not served yet: only clientId is", group)
	}
	if zone := text(b.TimeZone); zone != "" && zone != "UTC" {
		return wrong("timeZone", "%q is not served yet: only UTC is", zone)
	}
	return nil
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
	l := losses{today: today}
	if b.DaysUntilLost == nil || b.DaysUntilLost.Kind() == 'n' {
		return l, wrong("daysUntilDeclaredLost", "is missing")
	}
	n, err := strconv.Atoi(string(b.DaysUntilLost))
	if err != nil || n < 1 || n > maxLostAfter {
		return l, wrong("daysUntilDeclaredLost", "must be a whole number from 1 to %d", maxLostAfter)
	}
	l.after = Day(n)
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
