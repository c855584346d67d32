package view

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

const dayMS = 24 * 60 * 60 * 1000

// fewEvents are ranked rather than counted by halves.
const fewEvents = 8 << 10

// windowGrowth is how much longer each window of a search is than the one before.
const windowGrowth = 8

// Page returns the keys of the events of rank skip ≤ rank < skip+n, from the newest
// on or from the oldest, and how many events there are. n is the size of a page: all
// its keys are held.
//
// Not every event is ranked. Files of the lake have the days of years, each in few
// pages, so Page goes by windows from the end that the page is nearer to, of 1, 8,
// 64, … days, until it has the page. What lies outside of them is counted, which
// reads little or nothing: see lake.CountEvents.
func (s *OrderedScan) Page(ctx context.Context, skip, n int64, newest bool) (keys []EventKey, total int64, err error) {
	extent, err := s.extent(ctx)
	if err != nil || extent.width() <= 0 {
		return nil, 0, err
	}
	p := pageSearch{OrderedScan: s, skip: skip, n: n, newest: newest, rest: extent}
	if len(s.Texts) == 0 && s.TextsDecide {
		return p.known(ctx)
	}
	if err := p.run(ctx); err != nil {
		return nil, 0, err
	}
	others, err := s.countWindow(ctx, p.rest)
	return p.keys, p.seen + others, err
}

// extent returns the part of the period that may have events: bounds of files say
// so of the lake.
func (s *OrderedScan) extent(ctx context.Context) (interval, error) {
	f := s.Filter
	f.TimeFrom, f.TimeTo = s.From, s.To
	out := interval{s.To, s.From}
	files := lake.Prune(s.View.files, s.View.belowWatermark(f))
	for i := range files {
		low, high := files[i].Min.Time, files[i].Max.Time
		if low == 0 && high == 0 { // unknown
			return interval{s.From, s.To}, nil
		}
		out = interval{min(out.from, low-1), max(out.to, high+1)}
	}
	err := s.eachTail(ctx, []string{columns.Time, columns.Offset}, func(rows *columns.View) {
		for i := range rows.Rows {
			at := rows.TimeMS(i)
			out = interval{min(out.from, at), max(out.to, at+1)}
		}
	})
	return interval{max(out.from, s.From), min(out.to, s.To)}, err
}

// countWindow returns how many events lie in a part of the period.
func (s *OrderedScan) countWindow(ctx context.Context, time interval) (int64, error) {
	switch {
	case time.width() <= 0:
		return 0, nil
	case !s.TextsDecide, time.from == 0, time.to == 0: // 0 is open, in a filter
		h, err := s.histogram(ctx, s.window(time))
		if err != nil {
			return 0, err
		}
		return h.Total, nil
	}
	f := s.View.belowWatermark(s.window(time).filter(s.Filter))
	n, err := lake.CountEvents(ctx, s.View.lake, lake.Prune(s.View.files, f), f, s.Texts...)
	if err != nil {
		return 0, err
	}
	err = s.eachTail(ctx, s.names(), func(rows *columns.View) {
		wants := s.Wants(rows)
		for i := range rows.Rows {
			if time.has(rows.TimeMS(i)) && (wants == nil || wants(i)) {
				n++
			}
		}
	})
	return n, err
}

// eachTail calls take with the rows that are not committed, of any time: to select
// some of them would copy them.
func (s *OrderedScan) eachTail(ctx context.Context, names []string, take func(rows *columns.View)) (err error) {
	f := s.Filter
	f.TimeFrom, f.TimeTo = 0, 0
	s.View.scanTail(ctx, names, f, eachBatch(take, &err))
	return err
}

// pageSearch finds the keys of one page.
type pageSearch struct {
	*OrderedScan

	skip, n int64
	newest  bool       // the search begins with the newest events
	rest    interval   // where it has not come to
	seen    int64      // events outside of rest
	keys    []EventKey // in the order of the search
}

// known searches from the end that the page is nearer to, as all events are counted
// first. They lie wholly within most files, so that costs little.
func (p *pageSearch) known(ctx context.Context) (keys []EventKey, total int64, err error) {
	if total, err = p.countWindow(ctx, p.rest); err != nil {
		return nil, 0, err
	}
	p.n = max(0, min(p.n, total-p.skip))
	if p.n == 0 {
		return nil, total, nil
	}
	after := total - p.skip - p.n
	turned := after < p.skip
	if turned {
		p.skip, p.newest = after, !p.newest
	}
	if err = p.run(ctx); err != nil {
		return nil, 0, err
	}
	if int64(len(p.keys)) != p.n {
		return nil, 0, fmt.Errorf("snapshot %d changed under a scan: %d events counted, %d found of %d", p.View.snap.ID(), total, len(p.keys), p.n)
	}
	if turned {
		slices.Reverse(p.keys)
	}
	return p.keys, total, nil
}

// run searches window by window, until the page is found.
func (p *pageSearch) run(ctx context.Context) error {
	for w := range windows(p.rest, p.newest) {
		if err := p.search(ctx, w); err != nil || p.found() {
			return err
		}
	}
	return nil
}

// pass takes the n events of w, which is next, out of rest.
func (p *pageSearch) pass(w interval, n int64) {
	if p.seen += n; p.newest {
		p.rest.to = w.from
	} else {
		p.rest.from = w.to
	}
}

// found reports whether the whole page is in keys.
func (p *pageSearch) found() bool { return p.seen-p.skip >= p.n }

// windows divides extent from one end to the other.
func windows(extent interval, newest bool) iter.Seq[interval] {
	return func(yield func(interval) bool) {
		for days := int64(1); extent.width() > 0; days *= windowGrowth {
			w := extent
			if width := days * dayMS; width < extent.width() {
				w = extent.split(newest, width)
			}
			if !yield(w) {
				return
			}
			if newest {
				extent.to = w.from
			} else {
				extent.from = w.to
			}
		}
	}
}

// split returns the last or the first part of i, of about the width, which is less
// than that of i. It ends between two UTC days where it can, since rows of a file lie
// together by days.
func (i interval) split(last bool, width int64) interval {
	at := i.from + width
	if last {
		at = i.to - width
	}
	if day := rowDay(at); day > i.from && day < i.to {
		at = day
	}
	if last {
		return interval{at, i.to}
	}
	return interval{i.from, at}
}

// rowDay returns the beginning of the UTC day of an instant.
func rowDay(ms int64) int64 { return ms - ((ms%dayMS)+dayMS)%dayMS }

// search takes the events of w, which has none of those before. Where none of them
// may be wanted, they are counted first; many are then halved, so that few are
// ranked.
func (p *pageSearch) search(ctx context.Context, w interval) error {
	if p.TextsDecide && p.seen < p.skip {
		n, err := p.countWindow(ctx, w)
		if err != nil {
			return err
		}
		if p.seen+n <= p.skip {
			p.pass(w, n)
			return nil
		}
		if n > min(fewEvents, p.maxKeys()) && w.width() > 2*dayMS {
			return p.searchHalves(ctx, w)
		}
	}
	h, err := p.histogram(ctx, p.window(w))
	if err != nil {
		return err
	}
	if err := p.take(ctx, h); err != nil {
		return err
	}
	p.pass(w, h.Total)
	return nil
}

func (p *pageSearch) searchHalves(ctx context.Context, w interval) error {
	near := w.split(p.newest, w.width()/2)
	far := interval{near.to, w.to}
	if p.newest {
		far = interval{w.from, near.from}
	}
	if err := p.search(ctx, near); err != nil || p.found() {
		return err
	}
	return p.search(ctx, far)
}

// take adds the keys of h that are of the page.
func (p *pageSearch) take(ctx context.Context, h *Histogram) error {
	from, to := max(p.skip-p.seen, 0), min(p.skip-p.seen+p.n, h.Total)
	if p.newest {
		from, to = h.Total-to, h.Total-from
	}
	var keys []EventKey
	for some, err := range p.SelectRanks(ctx, h, from, to) {
		if err != nil {
			return err
		}
		keys = append(keys, some...)
	}
	if p.newest {
		slices.Reverse(keys)
	}
	p.keys = append(p.keys, keys...)
	return nil
}
