package report

import "math/bits"

// minuteMS is a minute in milliseconds.
const minuteMS = 60_000

// UsageDistribution is a question of how many clients were active on how many
// days, in how many sessions and for how long: engagement/usageDistribution.
type UsageDistribution struct {
	base
	population
}

// NewUsageDistribution compiles engagement/usageDistribution. Values are those
// at the end of the range.
func NewUsageDistribution(b *Body, today Day) (*UsageDistribution, error) {
	days, err := b.dates(today, ByDay)
	if err != nil {
		return nil, err
	}
	u := &UsageDistribution{base: base{days: days, atEnd: true}}
	u.population = newPopulation(&u.base)
	if err := b.only(); err != nil {
		return nil, err
	}
	u.filter, err = newFilter("globalFilters", b.GlobalFilters, &u.props)
	return u, err
}

// Days says that rows of client days of the range are needed.
func (*UsageDistribution) Days() bool { return true }

// Lives says that rows of clients' lives are needed.
func (u *UsageDistribution) Lives() bool { return u.lives() }

// metric is one of the three numbers that clients are binned by.
type metric struct {
	name  string
	scale scale
	of    func(*client) int64
	bins  []bin
}

func metrics() []metric {
	return []metric{
		{name: "activeDays", scale: scale{ladder: []int64{1, 2, 3, 5, 8, 12}, least: 1, label: plainLabel}, of: (*client).activeDays},
		{name: "sessions", scale: scale{ladder: []int64{1, 2, 3, 5, 8, 12}, label: plainLabel}, of: func(c *client) int64 { return c.rangeSessions }},
		{name: "runtime", scale: scale{ladder: []int64{5, 15, 30, 60, 120, 240}, label: clockLabel}, of: (*client).minutes},
	}
}

// activeDays is how many buckets, here days, the client was active in.
func (c *client) activeDays() (n int64) {
	for _, word := range c.active {
		n += int64(bits.OnesCount64(word))
	}
	return n
}

// minutes is the runtime in the range, a begun minute as a whole one, so that
// what is over 0:05 is not in a bin up to 0:05.
func (c *client) minutes() int64 { return (c.rangeRuntimeMS + minuteMS - 1) / minuteMS }

// Answer is the result: each metric's bins, and for each bin the bins of the
// other two.
func (u *UsageDistribution) Answer() Object {
	var who []*client
	for i := range u.clients {
		c := &u.clients[i]
		value := func(property int) Value { return u.value(c, property, len(u.days.Buckets)-1) }
		if c.active != nil && u.filter.matches(value) {
			who = append(who, c)
		}
	}
	all := metrics()
	for i := range all {
		numbers := make([]int64, len(who))
		for n, c := range who {
			numbers[n] = all[i].of(c)
		}
		all[i].bins = all[i].scale.automatic(numbers)
	}
	var out Object
	for i := range all {
		out = append(out, Member{all[i].name, histogram(all, i, who)})
	}
	return out
}

// histogram is that of metric i.
func histogram(all []metric, i int, who []*client) Object {
	users := make([]int64, len(all[i].bins))
	cross := make([][][]int64, len(all[i].bins)) // [bin of i][other metric][its bin]
	for b := range cross {
		cross[b] = make([][]int64, len(all))
		for other := range all {
			cross[b][other] = make([]int64, len(all[other].bins))
		}
	}
	for _, c := range who {
		b := in(all[i].bins, all[i].of(c))
		users[b]++
		for other := range all {
			cross[b][other][in(all[other].bins, all[other].of(c))]++
		}
	}
	out := Object{}
	for b := range all[i].bins {
		row := Object{{"users", users[b]}}
		for other := range all {
			if other != i {
				row = append(row, Member{all[other].name, binned(all[other].bins, cross[b][other])})
			}
		}
		out = append(out, Member{all[i].bins[b].label, row})
	}
	return out
}

func binned(bins []bin, counts []int64) Object {
	out := Object{}
	for i := range bins {
		out = append(out, Member{bins[i].label, counts[i]})
	}
	return out
}
