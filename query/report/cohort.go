package report

import "strconv"

// cohorts is how many of the clients that were installed in a range are still
// engaged after some time: engagement/churnAndEngagement.
type cohorts struct {
	q        *base
	split    Split
	lost     losses
	byMonth  bool
	parts    *parts
	lostBy   []map[int]int64 // by series: clients by the period in which they were seen last
	segments bool
}

// installationMonth is a segmentBy of this report alone.
const installationMonth = "installationMonth"

// NewCohorts compiles engagement/churnAndEngagement.
func NewCohorts(b *Body, given Params) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	r := &cohorts{}
	question := &Question{base: q, report: r}
	r.q = &question.base
	if r.split, err = b.needSplit(); err != nil {
		return nil, err
	}
	if r.q.days, err = b.dates(q.today, NoSplit); err != nil {
		return nil, err
	}
	if r.lost, err = b.lostAfter(q.today); err != nil {
		return nil, err
	}
	if _, inside := periods(r.q.days.From, r.q.days.To-1, r.split); !inside {
		return nil, wrong("stopDate", "the range has more than %d periods of a %s", maxBuckets, r.split)
	}
	if err := r.q.byClient(b); err != nil {
		return nil, err
	}
	if err := r.q.filters(b); err != nil {
		return nil, err
	}
	r.q.moment, r.q.needs.lives = atInstall, true
	return question, r.readSegments(b)
}

func (r *cohorts) readSegments(b *Body) error {
	if text(b.SegmentBy) != installationMonth {
		level, err := newSegments(b, &r.q.props)
		r.parts, r.segments = newParts(level), level != nil
		return err
	}
	if b.Segments != nil && b.Segments.Kind() != 'n' {
		return wrong("segments", "there are none of %s", installationMonth)
	}
	months, err := NewRange(r.q.days.From, r.q.days.To-1, ByMonth)
	if err != nil {
		return err
	}
	r.parts, r.byMonth, r.segments = &parts{of: map[string]int{}}, true, true
	for i := range months.Buckets {
		r.parts.at(inSegment{label: months.Buckets[i].Key.String()})
	}
	return nil
}

// periods is how many days, weeks or months after that of from the one of to
// is; false where they are too many.
func periods(from, to Day, split Split) (int, bool) {
	n := int(to - from)
	switch split {
	case ByWeek:
		n = int(monday(to)-monday(from)) / 7
	case ByMonth:
		a, b := from.date(), to.date()
		n = (b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month())
	case ByDay, NoSplit:
	}
	return n, n < maxBuckets
}

func (r *cohorts) tally(f *facts) {
	var in []int
	for u := range int32(len(f.units)) {
		born := f.installed(u)
		if _, inside := r.q.days.bucket(born); !inside || !f.matches(u, born+1) {
			continue
		}
		if in = in[:0]; r.byMonth {
			key, _ := around(born, ByMonth)
			n := r.parts.at(inSegment{label: key.String()})
			r.parts.units[n]++
			in = append(in, n)
		} else {
			in = r.parts.add(in, f, u, born+1)
		}
		seen := f.seen(u)
		if _, lost := r.lost.day(seen); !lost {
			continue
		}
		n, _ := periods(born, seen, r.split)
		for _, part := range in {
			r.part(part)[n]++
		}
	}
}

func (r *cohorts) part(n int) map[int]int64 {
	for len(r.lostBy) <= n {
		r.lostBy = append(r.lostBy, map[int]int64{})
	}
	return r.lostBy[n]
}

func (r *cohorts) answer() Answer {
	if !r.segments {
		return Answer{Result: Object{{"totals", r.spell(0, r.q.days.From)}}}
	}
	out := Object{}
	for _, n := range r.parts.kept() {
		from := r.q.days.From
		if first, ok := dateOf(r.parts.label[n]); ok && r.byMonth {
			from = max(from, first)
		}
		out = append(out, Member{r.parts.label[n], r.spell(n, from)})
	}
	return Answer{Result: out}
}

// spell writes the periods of a cohort of which the first was installed on a
// day.
func (r *cohorts) spell(n int, from Day) Object {
	last, _ := periods(from, r.q.days.To-1, r.split)
	size, lost := r.parts.units[n], int64(0)
	out := Object{}
	for p := range last + 1 {
		if p > 0 {
			lost += r.part(n)[p-1]
		}
		out = append(out, Member{strconv.Itoa(p), Object{
			{"engaged", size - lost},
			{"engagedPercent", percent(size-lost, size)},
			{"lost", lost},
			{"lostPercent", percent(lost, size)},
		}})
	}
	return out
}
