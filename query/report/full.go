package report

import "fmt"

// fullReport is how often each of some events was used, and by how many, in a
// range: eventTracking/advanced/fullReport.
type fullReport struct {
	q         *base
	parts     *parts
	segmented bool
	all       []fullPart // by series
	scale     scale
	ends      []int64
}

// fullPart is one series.
type fullPart struct {
	sessions int64
	events   []fullCell
}

// fullCell is what one event came to in one series.
type fullCell struct {
	count, users, sessions int64   // sessions are those of the users
	often                  counted // clients by occurrences
}

// NewFullReport compiles eventTracking/advanced/fullReport.
func NewFullReport(b *Body, given Params) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	if q.days, err = b.dates(q.today, NoSplit); err != nil {
		return nil, err
	}
	if err := q.byClient(b); err != nil {
		return nil, err
	}
	if err := q.filters(b); err != nil {
		return nil, err
	}
	level, err := newSegments(b, &q.props)
	if err != nil {
		return nil, err
	}
	if q.askedFor, err = newAsked(b.Events, true); err != nil {
		return nil, err
	}
	q.moment, q.advancedOnly = atEnd, true
	q.needs.inRange, q.needs.inEvents, q.needs.sums = true, true, true
	for i := range q.askedFor {
		if a := &q.askedFor[i]; a.of == nil && !q.countsIn(a.event) {
			return nil, wrong(fmt.Sprintf("events.%d", i), "is not collected as advanced: see event-tracking")
		}
	}
	r := &fullReport{parts: newParts(level), segmented: level != nil, scale: dayScale()}
	r.ends = r.scale.ends()
	question := &Question{base: q, report: r}
	r.q = &question.base
	return question, nil
}

func (r *fullReport) tally(f *facts) {
	var in []int
	for u := range int32(len(f.units)) {
		if !f.activeInRange(u) || !f.matches(u, r.q.days.To) {
			continue
		}
		in = r.parts.add(in[:0], f, u, r.q.days.To)
		for _, n := range in {
			r.part(n).sessions += f.units[u].rangeSessions
		}
		for e := range r.q.askedFor {
			count := f.counts.get(u, int32(e))
			if count == 0 {
				continue
			}
			for _, n := range in {
				c := &r.part(n).events[e]
				c.count += count
				c.users++
				c.sessions += f.units[u].rangeSessions
				c.often[roundUp(r.ends, count)]++
			}
		}
	}
}

// part is a series, made if need be.
func (r *fullReport) part(n int) *fullPart {
	for len(r.all) <= n {
		p := fullPart{events: make([]fullCell, len(r.q.askedFor))}
		for e := range p.events {
			p.events[e].often = counted{}
		}
		r.all = append(r.all, p)
	}
	return &r.all[n]
}

func (r *fullReport) answer() Answer {
	if !r.segmented {
		return Answer{Result: r.spell(0)}
	}
	out := Object{}
	for _, n := range r.parts.kept() {
		out = append(out, Member{r.parts.label[n], r.spell(n)})
	}
	return Answer{Result: out}
}

func (r *fullReport) spell(n int) []Object {
	p, active := r.part(n), r.parts.units[n]
	out := []Object{}
	for e := range p.events {
		c := &p.events[e]
		bins := r.scale.automatic(c.often)
		out = append(out, r.q.askedFor[e].named(
			Member{"eventCounts", c.count},
			Member{"averageEventCountPerSessionUsedAtLeastOnce", per(c.count, c.sessions)},
			Member{"averageEventCountPerSessionAll", per(c.count, p.sessions)},
			Member{"averageEventCountPerUserAtLeastOnce", per(c.count, c.users)},
			Member{"averageEventCountPerUserAll", per(c.count, active)},
			Member{"uniqueUsersUsedAtLeastOnce", c.users},
			Member{"uniqueUsersNeverUsed", active - c.users},
			Member{"usageFrequency", binned(bins, histogram(bins, c.often))},
		))
	}
	return out
}
