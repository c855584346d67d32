package query

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/view"
	"weir/schemas/columns"
)

const (
	maxPageBytes = 8 << 20 // of encoded rows that a page holds at once
	tailRows     = 100     // rows that owners are asked for at once
)

// resultColumns are the columns that a result of the Events API is made of.
func resultColumns() []string {
	return []string{
		columns.ProductID, columns.ClientID, columns.Time, columns.Name, columns.SessionID, columns.RandomID,
		columns.AppKey, columns.AppName, columns.AppVersion, columns.ContentLocale, columns.UILocale, columns.Offline,
		columns.UserAgent, columns.IP, columns.User, columns.Properties, columns.Shard, columns.Offset,
	}
}

// pageRows reads whole rows, and only those of one page. Events may be large, so
// it holds maxBytes of them and reads again when the page goes on.
type pageRows struct {
	view     *view.View
	keys     []view.EventKey // in the order of the answer
	filter   columns.Filter
	maxBytes int

	index    map[view.RowID]int // in keys
	encoded  [][]byte           // rows by their index in keys; nil where not held
	held     int                // bytes of encoded
	complete int                // every row below this index that was not returned yet is held
}

// at returns row i, encoded. Rows must be read in order; a row is released when
// the next one is read.
func (p *pageRows) at(ctx context.Context, i int) ([]byte, error) {
	if i > 0 {
		p.held -= len(p.encoded[i-1])
		p.encoded[i-1] = nil
	}
	if i >= p.complete {
		if err := p.loadFrom(ctx, i); err != nil {
			return nil, err
		}
	}
	return p.encoded[i], nil
}

// load reads the first rows: all of them, if maxBytes can hold them.
func (p *pageRows) load(ctx context.Context) error {
	p.encoded = make([][]byte, len(p.keys))
	p.index = make(map[view.RowID]int, len(p.keys))
	for i, key := range p.keys {
		p.index[key.ID()] = i
	}
	return p.loadFrom(ctx, 0)
}

// loadFrom reads rows from first on, in one scan of the lake and few requests to
// owners. If they are too large together, the last are dropped, and read again
// when the page reaches them.
func (p *pageRows) loadFrom(ctx context.Context, first int) error {
	p.complete = len(p.keys)
	if err := p.fromLake(ctx, first); err != nil {
		return err
	}
	if err := p.fromTail(ctx, first); err != nil {
		return err
	}
	for i := first; i < p.complete; i++ {
		if p.encoded[i] == nil {
			return p.view.MissingRow(p.keys[i].ID())
		}
	}
	return nil
}

// fromLake reads the rows that are committed. The times of its rows narrow the
// scan more than the period of the question does.
func (p *pageRows) fromLake(ctx context.Context, first int) error {
	f := p.filter
	f.TimeFrom, f.TimeTo = math.MaxInt64, math.MinInt64
	ids := make([]view.RowID, 0, len(p.keys)-first)
	for _, key := range p.keys[first:] {
		if p.view.InLake(key.ID()) {
			ids = append(ids, key.ID())
			f.TimeFrom, f.TimeTo = min(f.TimeFrom, key.Time), max(f.TimeTo, key.Time+1)
		}
	}
	return p.view.ReadCommitted(ctx, resultColumns(), f, ids, func(rec arrow.Record) error { return p.take(rec, first) })
}

// fromTail asks owners for the rows that are not committed, some at a time, so
// that rows that would be dropped again are not sent.
func (p *pageRows) fromTail(ctx context.Context, first int) error {
	var ids []view.RowID
	for _, key := range p.keys[first:p.complete] {
		if !p.view.InLake(key.ID()) {
			ids = append(ids, key.ID())
		}
	}
	for some := range slices.Chunk(ids, tailRows) {
		if p.index[some[0]] >= p.complete {
			return nil
		}
		if err := p.view.ReadTail(ctx, resultColumns(), some, func(rec arrow.Record) error { return p.take(rec, first) }); err != nil {
			return err
		}
	}
	return nil
}

// take encodes those rows of rec that belong to the page from first on and are not
// held yet.
func (p *pageRows) take(rec arrow.Record, first int) error {
	v, err := columns.Bind(rec)
	if err != nil {
		return fmt.Errorf("read rows of a page: %w", err)
	}
	for i := range v.Rows {
		at, ok := p.index[view.RowID{Shard: v.Shard[i], Offset: v.Offset[i]}]
		if !ok || at < first || at >= p.complete || p.encoded[at] != nil {
			continue
		}
		p.encoded[at] = appendResult(nil, &v, i)
		p.held += len(p.encoded[at])
		p.shrink(first)
	}
	return nil
}

// shrink drops the last rows while more than maxBytes are held; one row is always
// allowed.
func (p *pageRows) shrink(first int) {
	for p.held > p.maxBytes && p.complete > first+1 {
		p.complete--
		p.held -= len(p.encoded[p.complete])
		p.encoded[p.complete] = nil
	}
}

// appendResult encodes row i as the published API shows it, and with randomId, an
// addition of Weir. Members that an event does not have are left out; `user` and
// `parameters` are always there. The name of the application is `$app_name`, or
// the app_key of the request that brought the event: the producer's document
// gives it to say "which application generated the event".
func appendResult(dst []byte, v *columns.View, i int) []byte {
	dst = append(dst, '{')
	app := &v.AppName
	if app.Null(i) {
		app = &v.AppKey
	}
	dst = appendText(dst, "appName", app, i)
	dst = appendText(dst, "appVersion", &v.AppVersion, i)
	dst = appendText(dst, "contentLocale", &v.ContentLocale, i)
	dst = append(dst, `"datetime":`...)
	dst = strconv.AppendInt(dst, v.TimeMS(i), 10)
	dst = append(dst, `,"id":"`...)
	dst = appendEventUUID(dst, view.EventKey{Time: v.TimeMS(i), Shard: v.Shard[i], Offset: v.Offset[i]})
	dst = append(dst, `",`...)
	dst = appendText(dst, "name", &v.Name, i)
	if !v.Offline.Null(i) {
		dst = append(dst, `"offline":`...)
		dst = strconv.AppendBool(dst, v.Offline.At(i))
		dst = append(dst, ',')
	}
	dst = append(dst, `"parameters":`...)
	dst = appendObject(dst, &v.Properties, i)
	dst = append(dst, ',')
	dst = appendText(dst, "randomId", &v.RandomID, i)
	dst = appendText(dst, "sessionId", &v.SessionID, i)
	dst = append(dst, `"tenantId":"`...)
	dst = strconv.AppendInt(dst, v.Product[i], 10)
	dst = append(dst, `",`...)
	dst = appendText(dst, "uiLocale", &v.UILocale, i)
	dst = appendUser(append(dst, `"user":`...), v, i)
	dst = append(dst, ',')
	dst = appendText(dst, "userAgent", &v.UserAgent, i)
	dst = appendText(dst, "userIp", &v.IP, i)
	dst[len(dst)-1] = '}'
	return dst
}

// appendUser appends `$user` as it was sent. If it has no id, or is missing, the
// client's EUID is the id: everybody who did something has a name to filter by.
func appendUser(dst []byte, v *columns.View, i int) []byte {
	start := len(dst)
	dst = appendObject(dst, &v.User, i)
	var u eventUser
	if err := json.Unmarshal(dst[start:], &u); err == nil && len(u.ID) > 0 {
		return dst
	}
	rest := bytes.Clone(dst[start+1:]) // all but the first brace
	dst = append(dst[:start], `{"id":"`...)
	dst = strconv.AppendInt(dst, v.Client[i], 10)
	dst = append(dst, '"')
	if rest[0] != '}' {
		dst = append(dst, ',')
	}
	return append(dst, rest...)
}

// appendText appends a member and a comma, and nothing for null.
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

// appendObject copies a JSON object as it was sent. Ingest accepts nothing else; if
// something else is there, it is shown as text, so that the page stays valid JSON.
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
