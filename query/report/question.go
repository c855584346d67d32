package report

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	"weir/schemas/property"
	"weir/schemas/rollup"
)

// Params is what a question rests on beside its body. Now is required.
type Params struct {
	Now       time.Time                                          // of the server's clock
	Types     map[string]int                                     // of custom properties; those of type 3 can be counted by
	Collected func(category, name string) (basic, advanced bool) // how an event is collected; nil: as both
	Bytes     int64                                              // of memory for the clients of a pass; 0 means 128 MiB
	Page      int                                                // clients of a page of a client list; 0 means 200
}

// Source gives the rows that a question asks for: of one product, all as of
// one watermark, in the question's time zone and of the events that it is
// about. It gives the same rows as often as it is asked. Rows are deltas, in any
// order; a batch is valid until the next.
type Source interface {
	Clients(ctx context.Context, s Scan) iter.Seq2[*rollup.ClientBatch, error]
	Days(ctx context.Context, s Scan) iter.Seq2[*rollup.DayBatch, error]
	Events(ctx context.Context, s Scan) iter.Seq2[*rollup.EventBatch, error]
	UserAttributes(ctx context.Context, s UserAttributeScan) iter.Seq2[*UserAttribute, error]
}

// Scan says which rows are wanted. It may give more: rows of other days and
// clients are passed over.
type Scan struct {
	From, To Day // of days and events; To is exclusive
	Wants    rollup.Wants
	Clients  []int64 // nil is all
}

// UserAttributeScan says what is wanted of users. It may give more.
type UserAttributeScan struct {
	Clients func(client int64) bool
	Names   []string // of properties and contacts, as in Told
	Bytes   int64    // that may be held of several clients; a source that would hold more fails with ErrFull
}

// UserAttribute is a property of a user that the product's owner set, as it is now.
type UserAttribute struct {
	Client       int64
	Name         string // user.NAME or contact.NAME
	Value        string // JSON
	Time, Offset int64  // of the latest change
}

// Answer is what a report says.
type Answer struct {
	Result any
	More   Object // further members of the envelope
}

// Question is a report that is asked for, compiled. It is answered once.
type Question struct {
	base
	report // nil of a list
	list   *clientList
}

// report is what one report makes of the facts. Facts come in passes, each of
// other clients; a report keeps only what it makes of them.
type report interface {
	// tally adds what the clients of a pass come to.
	aggregate(f *clientStats)
	// answer is read when all passes are done.
	result() Answer
}

// base is what every question has.
type base struct {
	params      Params
	zone        Zone
	today       Day
	days        Range
	props       usedProperties
	filter      filter
	group       string // property that clients are counted by; "" is the client itself
	eventFilter []eventPropertyFilter

	asOf        asOf
	needs       needs
	events      []requestedEvent // events that are counted for each client; in the order of their numbers
	everyEvent  bool             // all events are counted for each client
	totalEvents []event          // with needs.tallies: those alone; nil is all

	clients      []int64 // that alone are looked at; nil is all
	advancedOnly bool    // combinations have only events that are collected as advanced
}

// asOf is when the values of standard properties are looked at.
type asOf int

const (
	asOfBucketEnd asOf = iota
	asOfRangeEnd       // of the range
	asOfInstall        // the end of the day of installation
	asOfNow
)

// needs are the rows that a question needs beside those that its properties
// need.
type needs struct {
	clients      bool // every client, its first and last day
	rangeDays    bool // what clients did on the days of the range
	activeDays   bool // all days on which clients were active
	rangeEvents  bool // events of the range, instead of all times
	bucketTotals bool // what all clients came to in each bucket
	eventTotals  bool // what all clients sent of each event in each bucket
	eventValues  bool // of tallies
	daySums      bool // sessions and runtime of the days of the range
	clientSums   bool // sessions and runtime of lives
}

// newBase reads what every report has. Filters are read by who has them.
func newBase(b *Body, params Params) (base, error) {
	q := base{params: params}
	if q.params.Bytes == 0 {
		q.params.Bytes = 128 << 20
	}
	var err error
	if q.zone, err = b.readZone(); err != nil {
		return q, err
	}
	q.today = q.zone.Day(params.Now.UnixMilli())
	q.eventFilter, err = newEventFilter(b.EventProperties, &q.props)
	return q, err
}

// readGroupBy reads groupBy.
func (q *base) readGroupBy(b *Body) error {
	name := text(b.GroupBy)
	switch {
	case name == "" || name == property.NameClientID:
		return nil
	case name == property.NameMachineID || name == property.NameLicenseKey:
	case property.IsCustom(name) && q.params.Types[name] == property.TypeGrouping:
	case property.IsCustom(name):
		return fieldErrorf("groupBy", "%s is of type %d: only custom properties of type %d can be counted by", name, max(property.TypeDefault, q.params.Types[name]), property.TypeGrouping)
	default:
		return fieldErrorf("groupBy", "%q is not clientId, machineId, licenseKey or a custom property of type %d", name, property.TypeGrouping)
	}
	q.group, q.props.grouped = name, true
	return nil
}

// refuseGroupBy refuses a groupBy where the report has none.
func (*base) refuseGroupBy(b *Body) error {
	if name := text(b.GroupBy); name != "" && name != property.NameClientID {
		return fieldErrorf("groupBy", "this report counts by clientId alone")
	}
	return nil
}

func (q *base) readFilters(b *Body) (err error) {
	q.filter, err = newFilter("globalFilters", b.GlobalFilters, &q.props)
	return err
}

// Zone is the time zone of the question's days.
func (q *Question) Zone() Zone { return q.zone }

// Wants is what scans of the question may want of rollups, all together.
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

// ReadsUserAttributes says that properties of users are read that product owners set.
func (q *Question) ReadsUserAttributes() bool { return len(q.props.userAttributes) > 0 }

// Answer asks src for the rows that the question needs, and answers it. Its
// memory is bounded by Given.Bytes, beside what the answer itself comes to:
// where the product has more clients, they are looked at in several passes, and
// src is asked as often. The clients of a pass are dealt to as many lanes as
// there are processors, which all look at each batch, at the same time.
func (q *Question) Answer(ctx context.Context, src Source) (Answer, error) {
	if q.list != nil {
		return q.list.run(ctx, src)
	}
	aggregatePass := func(begin func() []*clientStats) error {
		workers, err := q.pass(ctx, src, begin)
		if err != nil {
			return err
		}
		for _, cs := range workers {
			q.aggregate(cs)
		}
		return nil
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
	return q.result(), nil
}

// pass gathers facts, and once more with every utterance by itself if they came
// too mixed to be put together.
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
	return workers, err
}

// gather adds all rows that the question needs to the facts that they are of.
func (q *base) gather(ctx context.Context, src Source, workers []*clientStats) error {
	if q.needsClients() {
		if err := forEachBatch(src.Clients(ctx, q.clientsScan()), workers, (*clientStats).addClients); err != nil {
			return err
		}
	}
	if len(q.props.userAttributes) > 0 {
		if err := q.gatherUserAttributes(ctx, src, workers); err != nil {
			return err
		}
	}
	if scan, found := daysScan(workers); found {
		if err := forEachBatch(src.Days(ctx, scan), workers, (*clientStats).addDays); err != nil {
			return err
		}
	}
	if !q.readsEvents() {
		return nil
	}
	return forEachBatch(src.Events(ctx, q.eventsScan()), workers, (*clientStats).addEvents)
}

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

// needsClients says that rows of clients' lives are needed: where values are
// looked at, or installation and loss.
func (q *base) needsClients() bool {
	return q.needs.clients || len(q.props.reported)+len(q.props.userAttributes) > 0 || q.props.computed()
}

// readsEvents says that rows of event days are needed.
func (q *base) readsEvents() bool { return q.countsEvents() || q.needs.eventTotals }

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

// countsEvents says that events are counted for each client.
func (q *base) countsEvents() bool {
	return q.everyEvent || len(q.events) > 0 || len(q.props.usages) > 0
}

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

// Days beyond all.
const (
	minDay = math.MinInt32 / 2
	maxDay = math.MaxInt32 / 2
)

// readsDaily says that a standard property is read.
func (q *base) readsDaily() bool { return slices.Contains(q.props.daily, true) }

// firstAsOf is the earliest day before which values are looked at; of
// asOfInstall it depends on the client.
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
