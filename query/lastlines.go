package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/export"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

const (
	defaultLines     = 10
	maxLines         = 1000
	maxLineBytes     = 32 << 20 // of all lines of an answer
	lastLineAttempts = 3        // plans made when owners let go of their tail between two questions
)

// getLastLines answers with the newest events of a kind: those that arrived
// last, newest first, with the columns of the CSV.
func (s *Service) getLastLines(w http.ResponseWriter, r *http.Request, q exportQuestion) error {
	var body struct {
		LineCount jsontext.Value `json:"lineCount"`
	}
	if err := s.readBody(w, r, &body); err != nil {
		return err
	}
	count, err := lineCount(body.LineCount)
	if err != nil {
		return err
	}
	done, err := s.turn(r.Context())
	if err != nil {
		return err
	}
	defer done()
	for attempt := 1; ; attempt++ {
		lines, err := s.lastLines(r.Context(), w.Header(), q, count)
		if errors.Is(err, errMoved) && attempt < lastLineAttempts {
			s.metrics.replans.Inc()
			continue
		}
		if err != nil {
			return err
		}
		return s.writeLines(w, q.kind, lines)
	}
}

// lineCount is a number, or the same as a string: the contract shows both.
func lineCount(v jsontext.Value) (int, error) {
	if v == nil || v.Kind() == 'n' {
		return defaultLines, nil
	}
	n, err := strconv.Atoi(strings.Trim(string(v), `"`))
	if err != nil || n < 1 || n > maxLines {
		return 0, badField("lineCount", "must be a whole number from 1 to "+strconv.Itoa(maxLines))
	}
	return n, nil
}

// lineKey is the place of an event in the order of arrival.
type lineKey struct {
	arrival arrow.Timestamp
	shard   int32
	offset  int64
}

func newestFirst(a, b lineKey) int {
	return cmp.Or(cmp.Compare(b.arrival, a.arrival), cmp.Compare(b.shard, a.shard), cmp.Compare(b.offset, a.offset))
}

// lastLines finds the newest events first, by a few narrow columns, and then
// reads those alone. Says in h what it included.
func (s *Service) lastLines(ctx context.Context, h http.Header, q exportQuestion, count int) ([][]byte, error) {
	names := append(export.WantColumns(), columns.Arrival, columns.Shard, columns.Offset)
	v, err := s.plan(ctx, question{columns: names, filter: columns.Filter{Products: []int64{q.product.ID}}, watermark: q.want})
	if err != nil {
		return nil, err
	}
	defer v.close()
	keys, err := newestKeys(ctx, v, q, count)
	if err != nil {
		return nil, err
	}
	l := &lines{view: v, question: q, keys: keys, rows: export.NewRows()}
	if err := l.read(ctx); err != nil {
		return nil, err
	}
	v.headers(h)
	return l.made, nil
}

// newestKeys looks back in ever longer steps, until it has count keys or there
// are no more. It returns them newest first.
func newestKeys(ctx context.Context, v *view, q exportQuestion, count int) ([]lineKey, error) {
	n := &newest{kind: q.kind, count: count, rows: export.NewRows()}
	day := 24 * time.Hour
	to, now := int64(0), time.Now()
	for _, back := range []time.Duration{time.Hour, day, 8 * day, 64 * day, 0} {
		f := columns.Filter{Products: []int64{q.product.ID}, ArrivalTo: to}
		if back > 0 {
			f.ArrivalFrom = now.Add(-back).UnixMilli()
		}
		if err := n.scan(ctx, v, f); err != nil {
			return nil, err
		}
		if n.cut(); len(n.keys) == count {
			break
		}
		to = f.ArrivalFrom
	}
	return n.keys, nil
}

// newest keeps the newest keys it is shown.
type newest struct {
	kind  export.Kind
	count int
	rows  *export.Rows
	keys  []lineKey
}

func (n *newest) scan(ctx context.Context, v *view, f columns.Filter) error {
	names := append(export.WantColumns(), columns.Arrival, columns.Shard, columns.Offset)
	for rec, err := range v.events(ctx, names, f) {
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
			n.keys = append(n.keys, lineKey{n.rows.Arrival[i], n.rows.Shard[i], n.rows.Offset[i]})
			if len(n.keys) >= 2*n.count+cutAt {
				n.cut()
			}
		}
	}
	return nil
}

// cutAt spares small answers a sort at every other row.
const cutAt = 1 << 12

// cut keeps the newest count keys.
func (n *newest) cut() {
	slices.SortFunc(n.keys, newestFirst)
	n.keys = n.keys[:min(len(n.keys), n.count)]
}

// lines reads the events of keys and makes a JSON object of each.
type lines struct {
	view     *view
	question exportQuestion
	keys     []lineKey // newest first
	rows     *export.Rows
	at       map[place]int // of each key
	made     [][]byte      // in the order of keys
	bytes    int
}

func (l *lines) read(ctx context.Context) error {
	l.at, l.made = map[place]int{}, make([][]byte, len(l.keys))
	committed := columns.Filter{Products: []int64{l.question.product.ID}, OffsetFrom: map[int32]int64{}, OffsetTo: map[int32]int64{}}
	for shard := range l.view.watermark {
		committed.OffsetTo[shard] = 0
	}
	tail := map[int32][]int64{}
	for n, key := range l.keys {
		l.at[place{key.shard, key.offset}] = n
		if key.offset >= l.view.lakeNext(key.shard) {
			tail[key.shard] = append(tail[key.shard], key.offset)
			continue
		}
		from, seen := committed.OffsetFrom[key.shard]
		if !seen || key.offset < from {
			committed.OffsetFrom[key.shard] = key.offset
		}
		committed.OffsetTo[key.shard] = max(committed.OffsetTo[key.shard], key.offset+1)
	}
	if err := l.fromLake(ctx, committed); err != nil {
		return err
	}
	if err := l.fromTail(ctx, tail); err != nil {
		return err
	}
	for n, line := range l.made {
		if line == nil {
			return fmt.Errorf("snapshot changed under a scan: no row at offset %d of shard %d", l.keys[n].offset, l.keys[n].shard)
		}
	}
	return nil
}

// columns are those of the CSV, and where a row lies.
func (l *lines) columns() []string {
	names := slices.Clone(l.question.kind.Columns)
	for _, name := range []string{columns.Shard, columns.Offset} {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (l *lines) fromLake(ctx context.Context, f columns.Filter) error {
	if len(f.OffsetFrom) == 0 {
		return nil
	}
	for rec, err := range l.view.lake.ScanEvents(ctx, lake.Prune(l.view.files, f), l.columns(), f) {
		if err != nil {
			return fmt.Errorf("scan last lines: %w", err)
		}
		if err := l.take(rec); err != nil {
			return err
		}
	}
	return nil
}

func (l *lines) fromTail(ctx context.Context, offsets map[int32][]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	for _, list := range offsets {
		slices.Sort(list)
	}
	parts, err := l.view.tailRows(ctx, l.columns(), offsets)
	if err != nil {
		return err
	}
	var errs []error
	for i := range parts {
		for _, rec := range parts[i].Rows {
			errs = append(errs, l.take(rec))
		}
		parts[i].Release()
	}
	return errors.Join(errs...)
}

// take makes the lines of those rows that are asked for.
func (l *lines) take(rec arrow.Record) error {
	if err := l.rows.Bind(rec); err != nil {
		return fmt.Errorf("read last lines: %w", err)
	}
	for i := range l.rows.Rows {
		n, ok := l.at[place{l.rows.Shard[i], l.rows.Offset[i]}]
		if !ok || l.made[n] != nil {
			continue
		}
		l.made[n] = appendLine(nil, l.question.kind, l.rows, i)
		if l.bytes += len(l.made[n]); l.bytes > maxLineBytes {
			return badField("lineCount", "is too large for events of this size, ask for fewer")
		}
	}
	return nil
}

// appendLine appends row i as a JSON object, all values strings.
func appendLine(dst []byte, k export.Kind, r *export.Rows, i int) []byte {
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

func appendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text) // the error is of bytes that are no UTF-8; they are replaced
	return dst
}

// writeLines writes the answer, members in the order of the columns.
func (s *Service) writeLines(w http.ResponseWriter, k export.Kind, lines [][]byte) error {
	answer := []byte(`{"status":"OK","fieldNames":`)
	sep := byte('{')
	for _, f := range k.Fields {
		answer = append(answer, sep)
		answer = appendString(answer, f.Key)
		answer = append(answer, ':')
		answer = appendString(answer, f.Name)
		sep = ','
	}
	answer = append(answer, `},"result":[`...)
	for n, line := range lines {
		if n > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, line...)
	}
	answer = append(answer, "]}\n"...)
	s.patient(w)
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(answer)
	return err
}
