package lake

import (
	"bytes"
	"context"
	"iter"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// ScanClientDays yields the rows of files that f asks for. One key may come
// several times: merge. A row is valid until the next one is asked for, what
// its fields point to for ever; so with the other rollups.
func (l *Lake) ScanClientDays(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*rollup.ClientDay, error] {
	return decodeRows(l.ScanRollup(ctx, ClientDays, files, nil, f), readClientDays)
}

// ScanEventDays yields the rows of files that f asks for.
func (l *Lake) ScanEventDays(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*rollup.EventDay, error] {
	return decodeRows(l.ScanRollup(ctx, EventDays, files, nil, f), readEventDays)
}

// ScanClients yields the rows of files that f asks for; its times ask nothing
// of clients.
func (l *Lake) ScanClients(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*rollup.Client, error] {
	f.TimeFrom, f.TimeTo = 0, 0
	return decodeRows(l.ScanRollup(ctx, Clients, files, nil, f), readClients)
}

// ReadDeadLetters yields the rows of files that f asks for. A row is valid for
// ever.
func (l *Lake) ReadDeadLetters(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		for r, err := range decodeRows(l.scan(ctx, DeadLetters, files, nil, f), readDeadLetters) {
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			if !yield(*r, nil) {
				return
			}
		}
	}
}

// decodeRows yields the rows of batches; bind returns what reads row i of one.
func decodeRows[R any](batches iter.Seq2[arrow.Record, error], bind func(arrow.Record) func(i int, into *R) error) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		var row R
		for rec, err := range batches {
			if err != nil {
				yield(nil, err)
				return
			}
			read := bind(rec)
			for i := range int(rec.NumRows()) {
				if err := read(i, &row); err != nil {
					yield(nil, err)
					return
				}
				if !yield(&row, nil) {
					return
				}
			}
		}
	}
}

// columnAs is column i of a batch of the table's own schema.
func columnAs[A arrow.Array](rec arrow.Record, i int) A {
	a, _ := rec.Column(i).(A) // newScanner made the schema
	return a
}

func readClientDays(rec arrow.Record) func(int, *rollup.ClientDay) error {
	product, client, day := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Date32](rec, 2)
	events, sessions, runtime := columnAs[*array.Int64](rec, 3), columnAs[*array.Int64](rec, 4), columnAs[*array.Int64](rec, 5)
	first, last, properties := columnAs[*array.Timestamp](rec, 6), columnAs[*array.Timestamp](rec, 7), columnAs[*array.String](rec, 8)
	return func(i int, r *rollup.ClientDay) (err error) {
		*r = rollup.ClientDay{
			Product: product.Value(i), Client: client.Value(i), Day: int32(day.Value(i)),
			Events: events.Value(i), Sessions: sessions.Value(i), RuntimeMS: runtime.Value(i),
			First: toMillis(first.Value(i)), Last: toMillis(last.Value(i)),
		}
		r.Properties, err = propertiesAt(properties, i)
		return err
	}
}

func readEventDays(rec arrow.Record) func(int, *rollup.EventDay) error {
	product, client, day := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Date32](rec, 2)
	category, name := newDictionaryStrings(rec, 3), newDictionaryStrings(rec, 4)
	count, sum, values := columnAs[*array.Int64](rec, 5), columnAs[*array.Decimal128](rec, 6), columnAs[*array.Int64](rec, 7)
	first := columnAs[*array.Timestamp](rec, 8)
	return func(i int, r *rollup.EventDay) error {
		*r = rollup.EventDay{
			Product: product.Value(i), Client: client.Value(i), Day: int32(day.Value(i)),
			Count: count.Value(i), ValueSum: sum.Value(i), ValueCount: values.Value(i), First: toMillis(first.Value(i)),
		}
		r.Category, r.HasCategory = category.at(i)
		r.Name, _ = name.at(i)
		return nil
	}
}

func readClients(rec arrow.Record) func(int, *rollup.Client) error {
	product, client := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1)
	first, last := columnAs[*array.Timestamp](rec, 3), columnAs[*array.Timestamp](rec, 4)
	events, sessions, runtime := columnAs[*array.Int64](rec, 5), columnAs[*array.Int64](rec, 6), columnAs[*array.Int64](rec, 7)
	properties := columnAs[*array.String](rec, 8)
	return func(i int, r *rollup.Client) (err error) {
		*r = rollup.Client{
			Product: product.Value(i), Client: client.Value(i),
			Events: events.Value(i), Sessions: sessions.Value(i), RuntimeMS: runtime.Value(i),
			First: toMillis(first.Value(i)), Last: toMillis(last.Value(i)),
		}
		r.Properties, err = propertiesAt(properties, i)
		return err
	}
}

func readDeadLetters(rec arrow.Record) func(int, *DeadLetter) error {
	shard, offset, arrival := columnAs[*array.Int32](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Timestamp](rec, 2)
	reason, key, value := newDictionaryStrings(rec, 3), columnAs[*array.Binary](rec, 4), columnAs[*array.Binary](rec, 5)
	return func(i int, r *DeadLetter) error {
		*r = DeadLetter{Shard: shard.Value(i), Offset: offset.Value(i), Arrival: toMillis(arrival.Value(i))}
		r.Reason, _ = reason.at(i)
		if key.IsValid(i) {
			r.Key = bytes.Clone(key.Value(i))
		}
		if value.IsValid(i) {
			r.Value = bytes.Clone(value.Value(i))
		}
		return nil
	}
}

func propertiesAt(a *array.String, i int) (rollup.Properties, error) {
	if a.IsNull(i) {
		return nil, nil
	}
	return rollup.ParseProperties(strings.Clone(a.Value(i)))
}

func toMillis(t arrow.Timestamp) int64 {
	ms := int64(t) / 1000
	if t%1000 < 0 {
		ms--
	}
	return ms
}

// dictionaryStrings reads a coded column; each value is copied out of the batch once.
type dictionaryStrings struct {
	rows   *array.Dictionary
	codes  []int32
	values *array.String
	copies []string // by code; "" until asked for
}

func newDictionaryStrings(rec arrow.Record, i int) *dictionaryStrings {
	rows := columnAs[*array.Dictionary](rec, i)
	codes, _ := rows.Indices().(*array.Int32)
	values, _ := rows.Dictionary().(*array.String)
	return &dictionaryStrings{rows: rows, codes: codes.Int32Values(), values: values, copies: make([]string, values.Len())}
}

// at is the value of row i, and whether it has one.
func (t *dictionaryStrings) at(i int) (string, bool) {
	if t.rows.IsNull(i) {
		return "", false
	}
	code := t.codes[i]
	if t.copies[code] == "" {
		t.copies[code] = strings.Clone(t.values.Value(int(code)))
	}
	return t.copies[code], true
}
