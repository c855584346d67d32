package report

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	"weir/query/cost"
	"weir/schemas/property"
	"weir/schemas/rollup"
)

// Params are what a question needs to know besides its body. Now is required.
type Params struct {
	Now       time.Time                                          // the server's clock; "today" and NOW derive from it
	Types     map[string]int                                     // of custom properties, by name; required with groupBy
	Collected func(category, name string) (basic, advanced bool) // how an event is collected; nil is both ways for all events
	Bytes     int64                                              // memory for the clients of a pass; 0 means 48 MiB
	Cost      *cost.Question                                     // what the question may cost; nil is the default limits
	Page      int                                                // clients on a page of a client list; 0 means 200
}

// Source yields the rows that a question asks for. They belong to one product,
// are all as of one watermark, and have the question's time zone and event
// filter applied. A Source yields the same rows each time it is asked, because
// a question may need several passes. Rows are deltas that add up, in any
// order. A batch is valid until the next one is requested.
type Source interface {
	Clients(ctx context.Context, s Scan) iter.Seq2[*rollup.ClientBatch, error]
	Days(ctx context.Context, s Scan) iter.Seq2[*rollup.DayBatch, error]
	Events(ctx context.Context, s Scan) iter.Seq2[*rollup.EventBatch, error]
	UserAttributes(ctx context.Context, s UserAttributeScan) iter.Seq2[*UserAttribute, error]
	OptOuts(ctx context.Context, s OptOutScan) iter.Seq2[rollup.OptOut, error]
}

// Scan says which rows are wanted. A Source may yield rows of other days and
// clients too: they are skipped.
type Scan struct {
	From, To Day // of client days and event days; To is exclusive
	Wants    rollup.Wants
	Clients  []int64 // nil is all clients
}

// UserAttributeScan says which attributes of which users are wanted. A Source
// may yield more.
type UserAttributeScan struct {
	Clients func(client int64) bool
	Names   []string // of properties and contacts, with their prefix
	Bytes   int64    // memory for folding changes of several clients; a Source that needs more fails with ErrFull
}

// OptOutScan says which observations of optOut.current are wanted: the last one
// of each day of a client, of all days. A Source may yield more.
type OptOutScan struct {
	OnlyOut bool    // only those that say that the client is out
	Clients []int64 // only of these clients; nil is all
}

// UserAttribute is the current value of a property or contact that the
// product's owner set for a user.
type UserAttribute struct {
	Client       int64
	Name         string // user.NAME or contact.NAME
	Value        string // JSON
	Time, Offset int64  // of the latest change; epoch milliseconds
}

// Answer is the JSON of a report: the member "result" and, for some reports,
// further members of the envelope.
type Answer struct {
	Result any
	More   Object // further members of the envelope

	ManyEvents bool // events are counted together as OtherEvents
}

// Question is a compiled report. It can be answered once, because aggregation
// happens in place.
type Question struct {
	base
	report // nil for a client list
	list   *clientList
}

// report is what one kind of report computes. Clients come in passes, and every
// client is in one pass, so that a report keeps sums and not clients.
type report interface {
	// aggregate adds the clients of one pass, or some of them if ctx ends.
	aggregate(ctx context.Context, cs *clientStats)
	// result is called once, after all passes. It makes a part of the answer if the
	// question's pace stops.
	result() Answer
}

// base is what all questions have in common.
type base struct {
	params      Params
	zone        Zone
	today       Day
	days        Range
	props       usedProperties
	filter      filter
	group       string // property that clients are counted by; "" counts clients themselves
	eventFilter []eventPropertyFilter

	asOf        asOf
	needs       needs
	events      []requestedEvent // counted for each client; an event's number is its index here
	everyEvent  bool             // all events are counted for each client
	totalEvents []event          // with needs.eventTotals: only these; nil is all

	clients      []int64 // only these are looked at; nil is all
	advancedOnly bool    // combinations count only events that are collected as advanced

	named map[event]struct{} // events that an answer with too many lists by name; nil lists all
	found map[event]struct{} // events that the answer lists, while they are not too many

	overflowed bool // a number of the answer is of a sum that overflowed

	pace pace // of what makes the answer
}

// asOf is the time as of which daily properties are read. The published
// document sets it per report: the end of each bucket for timelines, the end of
// the range without a dateSplit, the day of installation for
// churnAndEngagement, and the latest known value for current, lifetime and
// churn reports and client lists.
type asOf int

const (
	asOfBucketEnd asOf = iota
	asOfRangeEnd       // the end of the range
	asOfInstall        // the end of the day of installation
	asOfNow
)

// needs are the rows that a report needs besides those that its properties
// need.
type needs struct {
	clients      bool // every client, with its first and last day
	rangeDays    bool // days of the range on which clients were active
	activeDays   bool // all days on which clients were active
	rangeEvents  bool // client event counts of the range, not of whole lives
	bucketTotals bool // sessions and runtime of all clients in each bucket
	eventTotals  bool // count and value of each event in each bucket
	eventValues  bool // values for eventTotals
	daySums      bool // sessions and runtime of the days of the range
	clientSums   bool // sessions and runtime of whole lives
	optOuts      bool // when clients were opted out
}

// newBase compiles what all reports have. Each report reads the filters itself,
// because some have none.
func newBase(b *Body, params Params) (base, error) {
	q := base{params: params, needs: needs{optOuts: true}}
	if q.params.Bytes == 0 {
		q.params.Bytes = 48 << 20
	}
	if q.params.Cost == nil {
		q.params.Cost = cost.Limits{}.Question()
	}
	q.props.cost = q.params.Cost
	err := b.checkTypes()
	if err != nil {
		return q, err
	}
	if q.zone, err = b.readZone(); err != nil {
		return q, err
	}
	q.today = q.zone.Day(params.Now.UnixMilli())
	q.eventFilter, err = newEventFilter(b.EventProperties, &q.props)
	return q, err
}

// newRangeBase compiles what reports on a range without groupBy have.
func newRangeBase(b *Body, params Params, split Split) (base, error) {
	q, err := newBase(b, params)
	if err != nil {
		return q, err
	}
	if q.days, err = b.readRange(q.today, split); err != nil {
		return q, err
	}
	return q, q.refuseGroupBy(b)
}

// newLifetimeBase compiles what the lifetime reports have; lost selects lost
// clients.
func newLifetimeBase(b *Body, params Params, lost bool) (q base, p population, err error) {
	if q, err = newBase(b, params); err != nil {
		return q, p, err
	}
	if err = q.readGroupBy(b); err != nil {
		return q, p, err
	}
	q.needs.activeDays = true
	p, err = newPopulation(b, &q, lost)
	return q, p, err
}

// readFilters compiles globalFilters.
func (q *base) readFilters(b *Body) (err error) {
	q.filter, err = newFilter("globalFilters", b.GlobalFilters, &q.props)
	return err
}

// Zone returns the time zone that the question's days are in.
func (q *Question) Zone() Zone { return q.zone }

// Wants returns the union of what the question's scans want of rollups.
func (q *Question) Wants() rollup.Wants {
	wants := q.clientsScan().Wants | q.eventsScan().Wants
	if q.needs.daySums {
		wants |= rollup.WantSums
	}
	if q.group != "" {
		wants |= rollup.WantProperties
	}
	if q.list != nil && q.list.daily != nil {
		wants |= q.list.daily.clientsScan().Wants
	}
	return wants
}

// CountsClients reports whether the question counts clients, and so reads which
// of them are opted out.
func (q *Question) CountsClients() bool { return q.needs.optOuts }

// ReadsUserAttributes reports whether the question reads properties that
// product owners set for users.
func (q *Question) ReadsUserAttributes() bool { return len(q.props.userAttributes) > 0 }

// NeedsEvents reports whether the question must be answered from events:
// because of their own properties, which rollups do not have, or because of the
// time zone.
func (q *Question) NeedsEvents() bool { return q.FiltersEvents() || q.zone.needsEvents() }

// Answer asks src for the rows that the question needs, and computes the
// answer.
//
// Memory is bounded by Params.Bytes besides what the answer itself takes. When
// the clients of a product need more, Answer looks at them in several passes,
// by ranges of the hash of their ids, and scans src again for each. Within a
// pass the clients are divided among as many workers as there are processors,
// and every worker looks at every batch at the same time.
//
// A question that finds more series or numbers in the rows than it may have, or
// spends too long on regular expressions, fails with a cost.Refusal.
func (q *Question) Answer(ctx context.Context, src Source) (Answer, error) {
	asked := ctx
	ctx, end := q.params.Cost.Begin(ctx)
	defer end()
	defer func() { q.pace.ended = asked.Err }() // of what is made when it is written
	answer, err := q.answer(ctx, src)
	if errors.Is(err, errManyEvents) {
		answer, err = q.answerNamed(ctx, src)
	}
	if err == nil {
		err = ctx.Err() // a limit was passed, or the client has gone
	}
	return answer, cost.Cause(ctx, err)
}

// answerNamed begins again, with the events that the answer lists by name.
func (q *Question) answerNamed(ctx context.Context, src Source) (Answer, error) {
	if err := q.nameEvents(ctx, src); err != nil {
		return Answer{}, err
	}
	q.params.Cost.Restart()
	if listed, ok := q.report.(interface{ restart() }); ok {
		listed.restart()
	}
	answer, err := q.answer(ctx, src)
	answer.More = append(answer.More, Member{"moreEvents", true})
	answer.ManyEvents = true
	return answer, err
}

// answer computes the answer of Answer.
func (q *Question) answer(ctx context.Context, src Source) (Answer, error) {
	q.pace.ended = ctx.Err
	if q.list != nil {
		return q.list.run(ctx, src)
	}
	aggregatePass := func(begin func() []*clientStats) error {
		workers, err := q.pass(ctx, src, begin)
		if err != nil {
			return err
		}
		for _, cs := range workers {
			q.aggregate(ctx, cs)
		}
		return ctx.Err()
	}
	var err error
	if q.group == "" {
		err = forEachRange(func(p hashRange) error { return aggregatePass(func() []*clientStats { return q.newWorkers(p) }) })
	} else {
		err = q.forEachGrouping(ctx, src, func(g *grouping) error { return aggregatePass(func() []*clientStats { return q.newGroupedWorker(g) }) })
	}
	if err != nil {
		return Answer{}, err
	}
	answer := q.result()
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	answer.More = append(answer.More, q.overflowMember()...)
	return answer, nil
}

// overflowMember is the member of an answer that says that a sum is larger than its
// column, so that a number of the answer is null, or the largest there is.
func (q *base) overflowMember() Object {
	if !q.overflowed {
		return nil
	}
	return Object{{"overflow", true}}
}

// pass gathers the stats of one pass. It repeats the pass with unmerged
// histories when values of one day arrived in an order that runs cannot
// represent, which is rare: see errMixedDay.
func (q *base) pass(ctx context.Context, src Source, begin func() []*clientStats) ([]*clientStats, error) {
	workers := begin()
	err := q.gather(ctx, src, workers)
	if errors.Is(err, errMixedDay) {
		workers = begin()
		for _, cs := range workers {
			cs.unmerged = true
		}
		err = q.gather(ctx, src, workers)
	}
	if err == nil {
		err = q.checkNames(workers)
	}
	return workers, err
}

// gather adds all rows that the question needs. The order matters: clients come
// first, because their current values decide whether days are needed with
// properties (see markHistory), and user attributes are kept for known clients
// alone. Opt-outs come before days, because they decide which days are active.
func (q *base) gather(ctx context.Context, src Source, workers []*clientStats) error {
	if q.needsClients() {
		if err := forEachBatch(ctx, src.Clients(ctx, q.clientsScan()), workers, (*clientStats).addClients); err != nil {
			return err
		}
	}
	if len(q.props.userAttributes) > 0 {
		if err := q.gatherUserAttributes(ctx, src, workers); err != nil {
			return err
		}
	}
	if err := q.gatherOptOuts(ctx, src, workers); err != nil {
		return err
	}
	if scan, found := daysScan(workers); found {
		if err := forEachBatch(ctx, src.Days(ctx, scan), workers, (*clientStats).addDays); err != nil {
			return err
		}
	}
	if !q.readsEvents() {
		return nil
	}
	return forEachBatch(ctx, src.Events(ctx, q.eventsScan()), workers, (*clientStats).addEvents)
}

// gatherUserAttributes adds the user attributes that are read. The Source may
// use the memory that the clients have left.
func (q *base) gatherUserAttributes(ctx context.Context, src Source, workers []*clientStats) error {
	scan := UserAttributeScan{Names: q.props.userAttributes, Bytes: q.params.Bytes}
	scan.Clients = func(client int64) bool {
		return slices.ContainsFunc(workers, func(cs *clientStats) bool { return cs.has(client) })
	}
	for _, cs := range workers {
		scan.Bytes -= cs.bytesUsed()
	}
	for attribute, err := range src.UserAttributes(ctx, scan) {
		for _, cs := range workers {
			if err == nil {
				err = cs.addUserAttribute(attribute)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// needsClients reports whether rows of clients are needed: for values of
// properties, and for the days of installation and loss.
func (q *base) needsClients() bool {
	return q.needs.clients || len(q.props.reported)+len(q.props.userAttributes) > 0 || q.props.computed()
}

// readsEvents reports whether rows of event days are needed.
func (q *base) readsEvents() bool { return q.countsEvents() || q.needs.eventTotals }

// clientsScan is the scan of clients. Properties and sums cost reading, so they
// are wanted only where something reads them.
func (q *base) clientsScan() Scan {
	s := Scan{Clients: q.clients}
	if len(q.props.reported) > 0 {
		s.Wants |= rollup.WantProperties
	}
	if q.needs.clientSums || q.props.reads(property.SessionCount) || q.props.reads(property.RuntimeMinutes) {
		s.Wants |= rollup.WantSums
	}
	return s
}

// countsEvents reports whether events are counted for each client, and not just
// in total.
func (q *base) countsEvents() bool {
	return q.everyEvent || len(q.events) > 0 || len(q.props.usages) > 0
}

// eventsScan is the scan of event days: all days for whole lives and for
// lifetimeEventUsage, else the range.
func (q *base) eventsScan() Scan {
	s := Scan{From: minDay, To: maxDay, Clients: q.clients}
	if q.needs.eventValues {
		s.Wants = rollup.WantValues
	}
	if (q.needs.rangeEvents || q.needs.eventTotals) && len(q.props.usages) == 0 {
		s.From, s.To = q.days.From, q.days.To
	}
	return s
}

// minDay and maxDay lie before and after all days of events. They leave room
// for sums of days.
const (
	minDay = math.MinInt32 / 2
	maxDay = math.MaxInt32 / 2
)

// readsDaily reports whether a daily property is read.
func (q *base) readsDaily() bool { return slices.Contains(q.props.daily, true) }

// firstAsOf returns the earliest day before which daily properties are read.
// For asOfInstall the day depends on the client.
func (q *base) firstAsOf() Day {
	switch q.asOf {
	case asOfNow:
		return maxDay
	case asOfRangeEnd:
		return q.days.To
	case asOfBucketEnd, asOfInstall:
	}
	return q.days.Buckets[0].To
}
