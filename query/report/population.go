package report

// population says which clients a report about whole lives is about: those that
// were active in the range, or those that were lost in it.
type population struct{ lossRule *lossRule }

func newPopulation(b *Body, q *base, lost bool) (population, error) {
	var err error
	if q.days, err = b.readRange(q.today, NoSplit); err != nil {
		return population{}, err
	}
	q.asOf = asOfNow
	if !lost {
		q.needs.rangeDays = true
		return population{}, q.readFilters(b)
	}
	q.needs.clients = true
	rule, err := b.readLossRule(q.today)
	if err != nil {
		return population{}, err
	}
	return population{lossRule: &rule}, q.readFilters(b)
}

// has says that a unit is one of them, and passes the filter.
func (w population) has(cs *clientStats, u int32) bool {
	if w.lossRule == nil {
		return cs.activeInRange(u) && cs.matches(u, maxDay)
	}
	day, lost := w.lossRule.lostOn(cs.lastDay(u))
	if _, inside := cs.q.days.bucket(day); !lost || !inside {
		return false
	}
	return cs.matches(u, maxDay)
}
