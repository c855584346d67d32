package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/view"
	"weir/schemas/columns"
)

const (
	maxLinesBytes = 32 << 20 // of all lines of an answer
	sortSlack     = 1 << 12  // keys beyond twice the count that are gathered before a sort, so that a small count is not sorted at every other row
)

// ErrLinesTooLarge reports lines that are too large in all; fewer may do.
var ErrLinesTooLarge = errors.New("last lines are larger than an answer may be")

// LastLines returns the newest count events of q's kind as JSON objects, those
// that arrived last first, with the columns of the CSV, and says what it
// included. The caller has acquired a scan, and holds it as long as the lines.
func (f *Files) LastLines(ctx context.Context, q Question, count int) (lines [][]byte, coverage view.Coverage, err error) {
	err = f.views.Retry(func() error {
		lines, coverage, err = f.lastLines(ctx, q, count)
		return err
	})
	return lines, coverage, err
}

// arrivalKey is the position of an event in the order of arrival, and its client.
type arrivalKey struct {
	arrival arrow.Timestamp
	id      view.RowID
	client  int64
	time    int64 // of the event; epoch milliseconds
}

// newestFirst orders keys by arrival; shard and offset make the order total, so that
// equal requests get equal lines.
func newestFirst(a, b arrivalKey) int {
	return cmp.Or(cmp.Compare(b.arrival, a.arrival), cmp.Compare(b.id.Shard, a.id.Shard), cmp.Compare(b.id.Offset, a.id.Offset))
}

// arrivalColumns are the columns of an arrivalKey, and those that select the kind.
func arrivalColumns() []string {
	return append(WantColumns(), columns.Arrival, columns.Shard, columns.Offset, columns.ClientID, columns.Time)
}

// lastLines finds the newest events by a few narrow columns, and what their clients
// had reported, and then reads those rows alone.
func (f *Files) lastLines(ctx context.Context, q Question, count int) ([][]byte, view.Coverage, error) {
	v, err := f.views.Plan(ctx, view.Request{
		Columns: tailColumns(arrivalColumns()), Filter: columns.Filter{Products: []int64{q.Product}}, Watermark: q.Watermark, Rollups: valueTables(),
	})
	if err != nil {
		return nil, view.Coverage{}, err
	}
	defer v.Close()
	keys, err := newestRows(ctx, v, q, count)
	if err != nil {
		return nil, view.Coverage{}, err
	}
	l := newLineReader(v, q, keys)
	scan := clientScan{view: v, product: q.Product, all: q.Kind.AllProperties, maxBytes: f.cfg.ClientBytes, rows: l}
	if _, err := scan.run(ctx, everyClient()); err != nil {
		return nil, view.Coverage{}, err
	}
	return l.lines, v.Coverage(), nil
}

// newestRows looks back in ever longer steps, until it has count rows or there
// are no more. It returns them newest first.
func newestRows(ctx context.Context, v *view.View, q Question, count int) ([]arrivalKey, error) {
	n := &newest{kind: q.Kind, count: count, rows: NewRows()}
	day := 24 * time.Hour
	to, now := int64(0), time.Now()
	for _, back := range []time.Duration{time.Hour, day, 8 * day, 64 * day, 0} {
		f := columns.Filter{Products: []int64{q.Product}, ArrivalTo: to}
		if back > 0 {
			f.ArrivalFrom = now.Add(-back).UnixMilli()
		}
		if err := n.scan(ctx, v, f); err != nil {
			return nil, err
		}
		if n.trim(); len(n.keys) == count {
			break
		}
		to = f.ArrivalFrom
	}
	return n.keys, nil
}

// newest keeps the newest keys of those that it scans.
type newest struct {
	kind  Kind
	count int
	rows  *Rows
	keys  []arrivalKey
}

// scan adds the keys of f. It keeps at most 2·count+sortSlack of them, whatever the
// number of events.
func (n *newest) scan(ctx context.Context, v *view.View, f columns.Filter) error {
	for rec, err := range v.Events(ctx, arrivalColumns(), f) {
		if err != nil {
			return err
		}
		if err := n.rows.Bind(rec); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		for i := range n.rows.Rows {
			if !n.kind.Wants(n.rows, i) {
				continue
			}
			id := view.RowID{Shard: n.rows.Shard[i], Offset: n.rows.Offset[i]}
			n.keys = append(n.keys, arrivalKey{n.rows.Arrival[i], id, n.rows.Client[i], n.rows.TimeMS(i)})
			if len(n.keys) >= 2*n.count+sortSlack {
				n.trim()
			}
		}
	}
	return nil
}

// trim sorts the keys and keeps the newest count of them.
func (n *newest) trim() {
	slices.SortFunc(n.keys, newestFirst)
	n.keys = n.keys[:min(len(n.keys), n.count)]
}

// lineReader reads the events of keys and makes a JSON object of each. It is the
// rowSource of last lines.
type lineReader struct {
	view     *view.View
	question Question
	keys     []arrivalKey       // newest first
	index    map[view.RowID]int // in keys
	lines    [][]byte           // in the order of keys
	bytes    int
}

func newLineReader(v *view.View, q Question, keys []arrivalKey) *lineReader {
	l := &lineReader{view: v, question: q, keys: keys, index: map[view.RowID]int{}, lines: make([][]byte, len(keys))}
	for n, key := range keys {
		l.index[key.id] = n
	}
	return l
}

// find adds the rows of the pass. What a row reports itself is among what its client
// reported on its day.
func (l *lineReader) find(_ context.Context, v *clientValues) error {
	for _, key := range l.keys {
		if v.part.has(key.client, key.time) {
			v.addRow(key.client, stamp{key.time, key.id.Offset}, nil)
		}
	}
	return v.checkMemory()
}

// write fills the lines of the pass. Each row is in the lake or in a tail, and has
// been seen by the scan before; one that is missing now is an error and not a
// shorter answer.
func (l *lineReader) write(ctx context.Context, v *clientValues) error {
	var ids []view.RowID
	for _, key := range l.keys {
		if v.part.has(key.client, key.time) {
			ids = append(ids, key.id)
		}
	}
	rows := newRowsWith(v)
	take := func(rec arrow.Record) error { return l.take(rec, rows) }
	f := columns.Filter{Products: []int64{l.question.Product}}
	if err := l.view.ReadCommitted(ctx, l.columns(), f, ids, take); err != nil {
		return err
	}
	if err := l.view.ReadTail(ctx, l.columns(), ids, take); err != nil {
		return err
	}
	for _, id := range ids {
		if l.lines[l.index[id]] == nil {
			return l.view.MissingRow(id)
		}
	}
	return nil
}

// columns returns those of the CSV, of what a row reports of its client, and of a
// RowID.
func (l *lineReader) columns() []string {
	return withColumns(scanColumns(l.question.Kind.Columns), columns.Shard)
}

// take makes the lines of those rows that are in keys and in the pass of rows.
func (l *lineReader) take(rec arrow.Record, rows *Rows) error {
	if err := rows.Bind(rec); err != nil {
		return fmt.Errorf("read last lines: %w", err)
	}
	for i := range rows.Rows {
		n, ok := l.index[view.RowID{Shard: rows.Shard[i], Offset: rows.Offset[i]}]
		if !ok || l.lines[n] != nil || !rows.inPass(i) {
			continue
		}
		rows.readClient(i)
		l.lines[n] = l.question.Kind.appendLine(nil, rows, i)
		if l.bytes += len(l.lines[n]); l.bytes > maxLinesBytes {
			return ErrLinesTooLarge
		}
	}
	return nil
}

// appendLine appends row i as a JSON object in the order of the columns, all
// values strings.
func (k Kind) appendLine(dst []byte, r *Rows, i int) []byte {
	var value []byte
	sep := byte('{')
	for _, f := range k.Fields {
		dst = append(dst, sep)
		dst = appendString(dst, f.Key)
		dst = append(dst, ':')
		value = f.Append(value[:0], r, i)
		dst = appendString(dst, string(value))
		sep = ','
	}
	return append(dst, '}')
}

// AppendFieldNames appends a JSON object with the name of each key of a line.
func (k Kind) AppendFieldNames(dst []byte) []byte {
	sep := byte('{')
	for _, f := range k.Fields {
		dst = append(dst, sep)
		dst = appendString(dst, f.Key)
		dst = append(dst, ':')
		dst = appendString(dst, f.Name)
		sep = ','
	}
	return append(dst, '}')
}

func appendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // the error is of bytes that are no UTF-8; they are replaced
	return dst
}
