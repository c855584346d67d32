package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

const (
	pageBytes = 8 << 20 // of encoded rows that a page holds at once
	tailRows  = 100     // rows of the tail that are asked for at once
)

// resultColumns are all that a result of contract 3 is made of.
func resultColumns() []string {
	return []string{
		columns.ProductID, columns.ClientID, columns.Time, columns.Name, columns.SessionID, columns.RandomID,
		columns.AppName, columns.AppVersion, columns.ContentLocale, columns.UILocale, columns.Offline,
		columns.UserAgent, columns.IP, columns.User, columns.Properties, columns.Shard, columns.Offset,
	}
}

// pageRows reads whole rows, and only those of one page. Events may be large,
// so it holds pageBytes of them and reads again when the page goes on.
type pageRows struct {
	view   *view
	keys   []rowKey // in the order of the answer
	filter columns.Filter

	rows  map[place]int // where in keys a row stands
	made  [][]byte      // encoded rows, by their place in keys; nil where not held
	held  int           // bytes of made
	whole int           // made is complete below this
}

// place is where an event lies.
type place struct {
	shard  int32
	offset int64
}

// at returns row i, encoded. Rows are asked for in order; a row is let go of
// when the next one is asked for.
func (p *pageRows) at(ctx context.Context, i int) ([]byte, error) {
	if i > 0 {
		p.held -= len(p.made[i-1])
		p.made[i-1] = nil
	}
	if i >= p.whole {
		if err := p.loadFrom(ctx, i); err != nil {
			return nil, err
		}
	}
	return p.made[i], nil
}

// load reads the first rows: all of them, if pageBytes hold them.
func (p *pageRows) load(ctx context.Context) error {
	p.made = make([][]byte, len(p.keys))
	p.rows = make(map[place]int, len(p.keys))
	for i, key := range p.keys {
		p.rows[place{key.shard, key.offset}] = i
	}
	return p.loadFrom(ctx, 0)
}

// loadFrom reads rows from first on, in one scan of the lake and few questions
// to owners. When they grow too many the last are dropped, for a later turn.
func (p *pageRows) loadFrom(ctx context.Context, first int) error {
	p.whole = len(p.keys)
	if err := p.fromLake(ctx, first); err != nil {
		return err
	}
	if err := p.fromTail(ctx, first); err != nil {
		return err
	}
	for i := first; i < p.whole; i++ {
		if p.made[i] == nil {
			return fmt.Errorf("snapshot %d changed under a scan: no row at offset %d of shard %d",
				p.view.snap.ID(), p.keys[i].offset, p.keys[i].shard)
		}
	}
	return nil
}

// fromLake reads the rows that are committed.
func (p *pageRows) fromLake(ctx context.Context, first int) error {
	f, ok := p.around(p.keys[first:])
	if !ok {
		return nil
	}
	v := p.view
	for rec, err := range v.lake.ScanEvents(ctx, lake.Prune(v.files, f), resultColumns(), f) {
		if err != nil {
			return fmt.Errorf("scan rows of a page: %w", err)
		}
		if err := p.take(rec, first); err != nil {
			return err
		}
	}
	return nil
}

// around is a filter that has the committed rows of keys and little else.
func (p *pageRows) around(keys []rowKey) (columns.Filter, bool) {
	f := p.filter
	f.TimeFrom, f.TimeTo = math.MaxInt64, math.MinInt64
	f.OffsetFrom, f.OffsetTo = map[int32]int64{}, map[int32]int64{}
	for shard := range p.view.watermark {
		f.OffsetTo[shard] = 0
	}
	any := false
	for _, key := range keys {
		if key.offset >= p.view.lakeNext(key.shard) {
			continue
		}
		from, seen := f.OffsetFrom[key.shard]
		if !seen {
			from = key.offset
		}
		f.OffsetFrom[key.shard] = min(from, key.offset)
		f.OffsetTo[key.shard] = max(f.OffsetTo[key.shard], key.offset+1)
		f.TimeFrom, f.TimeTo = min(f.TimeFrom, key.time), max(f.TimeTo, key.time+1)
		any = true
	}
	return f, any
}

// fromTail asks owners for the rows that are not committed, some at a time.
func (p *pageRows) fromTail(ctx context.Context, first int) error {
	var wanted []rowKey
	for _, key := range p.keys[first:p.whole] {
		if key.offset >= p.view.lakeNext(key.shard) {
			wanted = append(wanted, key)
		}
	}
	for some := range slices.Chunk(wanted, tailRows) {
		if p.rows[place{some[0].shard, some[0].offset}] >= p.whole {
			return nil
		}
		if err := p.askTail(ctx, some, first); err != nil {
			return err
		}
	}
	return nil
}

func (p *pageRows) askTail(ctx context.Context, some []rowKey, first int) error {
	offsets := map[int32][]int64{}
	for _, key := range some {
		offsets[key.shard] = append(offsets[key.shard], key.offset)
	}
	for _, list := range offsets {
		slices.Sort(list)
	}
	parts, err := p.view.tailRows(ctx, resultColumns(), offsets)
	if err != nil {
		return err
	}
	var errs []error
	for i := range parts {
		for _, rec := range parts[i].Rows {
			errs = append(errs, p.take(rec, first))
		}
		parts[i].Release()
	}
	return errors.Join(errs...)
}

// take encodes those rows of rec that are of the page and wanted now.
func (p *pageRows) take(rec arrow.Record, first int) error {
	v, err := columns.Bind(rec)
	if err != nil {
		return fmt.Errorf("read rows of a page: %w", err)
	}
	for i := range v.Rows {
		at, ok := p.rows[place{v.Shard[i], v.Offset[i]}]
		if !ok || at < first || at >= p.whole || p.made[at] != nil {
			continue
		}
		p.made[at] = appendResult(nil, &v, i)
		p.held += len(p.made[at])
		p.shrink(first)
	}
	return nil
}

// shrink drops the last rows while more is held than may be; one row may
// always be held.
func (p *pageRows) shrink(first int) {
	limit := cmp.Or(p.view.service.pageBytes, pageBytes)
	for p.held > limit && p.whole > first+1 {
		p.whole--
		p.held -= len(p.made[p.whole])
		p.made[p.whole] = nil
	}
}

// appendResult encodes row i as the contract shows it. What an event does not
// have is left out; `user` and `parameters` are always there.
func appendResult(dst []byte, v *columns.View, i int) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "appName", &v.AppName, i)
	dst = appendText(dst, "appVersion", &v.AppVersion, i)
	dst = appendText(dst, "contentLocale", &v.ContentLocale, i)
	dst = append(dst, `"datetime":`...)
	dst = strconv.AppendInt(dst, v.TimeMS(i), 10)
	dst = append(dst, ',')
	dst = appendText(dst, "id", &v.RandomID, i)
	dst = appendText(dst, "name", &v.Name, i)
	if !v.Offline.Null(i) {
		dst = append(dst, `"offline":`...)
		dst = strconv.AppendBool(dst, v.Offline.At(i))
		dst = append(dst, ',')
	}
	dst = append(dst, `"parameters":`...)
	dst = appendObject(dst, &v.Properties, i)
	dst = append(dst, ',')
	dst = appendText(dst, "sessionId", &v.SessionID, i)
	dst = append(dst, `"tenantId":"`...)
	dst = strconv.AppendInt(dst, v.Product[i], 10)
	dst = append(dst, `",`...)
	dst = appendText(dst, "uiLocale", &v.UILocale, i)
	dst = append(dst, `"user":`...)
	if v.User.Null(i) {
		dst = append(dst, `{"id":"`...)
		dst = strconv.AppendInt(dst, v.Client[i], 10)
		dst = append(dst, `"}`...)
	} else {
		dst = appendObject(dst, &v.User, i)
	}
	dst = append(dst, ',')
	dst = appendText(dst, "userAgent", &v.UserAgent, i)
	dst = appendText(dst, "userIp", &v.IP, i)
	dst[len(dst)-1] = '}'
	return dst
}

func appendText(dst []byte, field string, col *columns.Strings, i int) []byte {
	if col.Null(i) {
		return dst
	}
	dst = append(dst, '"')
	dst = append(dst, field...)
	dst = append(dst, `":`...)
	dst, _ = jsontext.AppendQuote(dst, col.At(i)) // the error is of bytes that are no UTF-8; they are replaced
	return append(dst, ',')
}

// appendObject copies a JSON object as it was sent. Something else, which the
// edge never lets in, is shown as text, so that it spoils no page.
func appendObject(dst []byte, col *columns.Strings, i int) []byte {
	if col.Null(i) {
		return append(dst, "{}"...)
	}
	text := jsontext.Value(col.At(i))
	if text.Kind() == '{' && text.IsValid() {
		return append(dst, text...)
	}
	dst = append(dst, `{"$text":`...)
	dst, _ = jsontext.AppendQuote(dst, col.At(i)) // as above
	return append(dst, '}')
}
