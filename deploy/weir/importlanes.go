package main

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"
)

// Limits of the rows of a lane that are held until batches are made of them.
const (
	windowRows  = 8 * batchEvents
	windowBytes = 2 * batchBytes
)

// lane sends the rows of some shards one request after the other, so that they come
// into the log in their order. A request has one app_key, so rows are gathered by
// it first: two rows change places only if their times differ, and then no answer
// depends on their order.
type lane struct {
	to     chan batch
	groups map[string][]batch // by app_key
	order  []string           // of the first row of each app_key
	keyAt  map[int64]string   // app_key of the rows with that time
	rows   int
	bytes  int
}

func newLane() *lane {
	return &lane{to: make(chan batch), groups: map[string][]batch{}, keyAt: map[int64]string{}}
}

// add adds a row, after sending those before it if it could not stay behind them.
func (l *lane) add(ctx context.Context, it item, row *rawRow, most int) error {
	key, seen := l.keyAt[row.time]
	if l.rows == windowRows || l.bytes+len(it.text) > windowBytes || seen && key != row.appKey {
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	l.keyAt[row.time] = row.appKey
	l.rows++
	l.bytes += len(it.text)
	group, known := l.groups[row.appKey]
	if !known {
		l.order = append(l.order, row.appKey)
	}
	if last := len(group) - 1; last < 0 || len(group[last].items) == most || group[last].bytes+len(it.text) > batchBytes {
		group = append(group, batch{appKey: row.appKey, asTheyWere: true})
	}
	group[len(group)-1].add(it)
	l.groups[row.appKey] = group
	return nil
}

// flush passes all rows to the sender of the lane.
func (l *lane) flush(ctx context.Context) error {
	for _, key := range l.order {
		for _, b := range l.groups[key] {
			select {
			case l.to <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	clear(l.groups)
	clear(l.keyAt)
	l.order, l.rows, l.bytes = nil, 0, 0
	return nil
}

// sendRaw sends the gathered rows. All rows of a shard go through one lane: the
// order of a client's rows decides between observations of one time, and that of a
// shard's is the order of lists.
func (im *importer) sendRaw(ctx context.Context, r *rawImport) error {
	im.rawRows.Store(r.kept)
	g, ctx := errgroup.WithContext(ctx)
	lanes := make([]*lane, im.opts.Parallel)
	for i := range lanes {
		l := newLane()
		lanes[i] = l
		g.Go(func() error {
			for b := range l.to {
				if err := im.send(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer func() {
			for _, l := range lanes {
				close(l.to)
			}
		}()
		return im.fillLanes(ctx, r, lanes)
	})
	return g.Wait()
}

// fillLanes divides the rows over the lanes.
func (im *importer) fillLanes(ctx context.Context, r *rawImport, lanes []*lane) error {
	for row, err := range r.all() {
		if err != nil {
			return err
		}
		text, _ := jsontext.AppendQuote([]byte(`{"random_id":`), row.id) // it is valid UTF-8
		it := item{source: r.sources[row.source], line: row.line, text: append(text, row.rest...), complete: true}
		if err := lanes[int(row.shard)%len(lanes)].add(ctx, it, &row, im.batch); err != nil {
			return err
		}
	}
	for _, l := range lanes {
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// summary says what was done to rows, for the last lines of the output.
func (r *rawImport) summary() string {
	var text string
	if r.repeated > 0 {
		text += "left out " + plural(int(r.repeated), "row") + " that had come before, in another file or the same\n"
	}
	if r.renewed > 0 {
		text += "gave new ids to " + plural(int(r.renewed), "event") + " whose random_id an earlier event of the client has\n"
	}
	return text
}
