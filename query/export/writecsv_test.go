package export

import (
	"context"
	"io"
	"iter"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
)

// writeCSV writes a header, and a record for each of rows that the kind wants, with
// the properties of its client that it reports itself. It returns the number of those
// records. An error leaves w with a part of them.
func writeCSV(ctx context.Context, k Kind, w io.Writer, rows iter.Seq2[arrow.Record, error]) (int64, error) {
	out := newCSVFile(k, w)
	if err := out.add(ctx, rows, ownValues(k)); err != nil {
		return out.records, err
	}
	return out.records, out.flush()
}

// ownValues are values of which nothing is known but what each event reports itself.
func ownValues(k Kind) *clientValues {
	return newClientValues(everyClient(), k.AllProperties, math.MaxInt64)
}
