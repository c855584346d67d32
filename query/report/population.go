package report

// population is the clients that a report about whole lives is about: those
// that were active in the range, or with a lossRule those that were lost in it.
type population struct{ lossRule *lossRule }

// newPopulation reads the range, the loss rule for lost clients, and the
// filters.
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

// has reports whether a unit is in the population and passes the filter. Values
// of properties are the latest known. A client that is opted out now is not lost:
// it sends nothing, whether or not it is still there.
func (p population) has(cs *clientStats, u int32) bool {
	if p.lossRule == nil {
		return cs.activeInRange(u) && cs.matches(u, maxDay)
	}
	day, lost := p.lossRule.lostOn(cs.lastDay(u))
	if _, inside := cs.q.days.bucket(day); !lost || !inside || optedOutNow(cs, u) {
		return false
	}
	return cs.matches(u, maxDay)
}
