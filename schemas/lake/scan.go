package lake

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/rollup"
)

// ScanEvents yields the rows of files that f asks for, file by file in the
// order of files, as batches of the named columns (nil is all of them). A
// batch is valid until the next one is asked for; retain it to keep it.
func (l *Lake) ScanEvents(ctx context.Context, files []DataFile, names []string, f Filter) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) { yield(nil, errors.New("scan events: not built yet")) }
}

// ScanClientDays yields the rows of files that f asks for. One key may come
// several times: merge. A row is valid until the next one is asked for, what
// its fields point to for ever; so with the other rollups.
func (l *Lake) ScanClientDays(ctx context.Context, files []DataFile, f Filter) iter.Seq2[*rollup.ClientDay, error] {
	return func(yield func(*rollup.ClientDay, error) bool) { yield(nil, errors.New("scan: not built yet")) }
}

// ScanEventDays yields the rows of files that f asks for.
func (l *Lake) ScanEventDays(ctx context.Context, files []DataFile, f Filter) iter.Seq2[*rollup.EventDay, error] {
	return func(yield func(*rollup.EventDay, error) bool) { yield(nil, errors.New("scan: not built yet")) }
}

// ScanClients yields the rows of files that f asks for.
func (l *Lake) ScanClients(ctx context.Context, files []DataFile, f Filter) iter.Seq2[*rollup.Client, error] {
	return func(yield func(*rollup.Client, error) bool) { yield(nil, errors.New("scan: not built yet")) }
}

// ReadDeadLetters yields the rows of files that f asks for. A row is valid for
// ever.
func (l *Lake) ReadDeadLetters(ctx context.Context, files []DataFile, f Filter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) { yield(DeadLetter{}, errors.New("scan: not built yet")) }
}
