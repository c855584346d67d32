package report

import "weir/schemas/values"

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

// maxLostAfter is the largest daysUntilDeclaredLost: a hundred years of days.
const maxLostAfter = 36_500

// readLossPeriod reads daysUntilDeclaredLost alone, for the report that has no
// dateReportedLost.
func (b *Body) readLossPeriod(today Day) (lossRule, error) {
	l := lossRule{today: today}
	if b.DaysUntilLost == nil || b.DaysUntilLost.Kind() == 'n' {
		return l, fieldErrorf("daysUntilDeclaredLost", "is missing")
	}
	n, whole := values.Whole(b.DaysUntilLost)
	if !whole || n < 1 || n > maxLostAfter {
		return l, errDaysUntilLost()
	}
	l.after = Day(n)
	return l, nil
}

func errDaysUntilLost() error {
	return fieldErrorf("daysUntilDeclaredLost", "must be a whole number from 1 to %d", maxLostAfter)
}
