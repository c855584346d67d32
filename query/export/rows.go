package export

import (
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas/columns"
)

// Rows reads the rows of one batch after the other. It belongs to one goroutine.
type Rows struct {
	columns.View
	values *clientValues // nil: nothing is read of clients
	client *rendered     // of the row of the last readClient
	data   eventData
}

// NewRows returns Rows without a batch, of which no field of a client is read.
func NewRows() *Rows { return &Rows{} }

// newRowsWith returns Rows without a batch, with the values of their clients.
func newRowsWith(values *clientValues) *Rows { return &Rows{values: values} }

// Bind reads from rec on. The caller keeps the ownership of rec, and must not
// release it before the next Bind.
func (r *Rows) Bind(rec arrow.Record) error {
	view, err := columns.Bind(rec)
	if err != nil {
		return err
	}
	r.View = view
	if r.values != nil {
		r.values.objects.beginBatch(view.ClientProps.DictionaryLen())
	}
	return nil
}

// inPass reports whether row i is in the pass of the values.
func (r *Rows) inPass(i int) bool { return r.values.part.has(r.Client[i], r.TimeMS(i)) }

// readClient reads what is known of the client at row i. It comes before the
// fields of the row.
func (r *Rows) readClient(i int) {
	r.client = r.values.at(r.Client[i], stamp{r.TimeMS(i), r.Offset[i]}, r.values.objects.ownProperties(&r.ClientProps, i))
}

// prop returns a property of the client at the row of readClient, by its index in
// clientKeys; "" if it is not known.
func (r *Rows) prop(slot int) string { return r.client.texts[slot] }

// appendDecimal appends n · 10^-scale in its shortest form.
func appendDecimal(dst []byte, n decimal128.Num, scale int) []byte {
	if n.Sign() < 0 {
		dst = append(dst, '-')
		n = n.Negate()
	}
	var space [48]byte
	digits := space[:0]
	if n.HighBits() == 0 {
		digits = strconv.AppendUint(digits, n.LowBits(), 10)
	} else {
		digits = n.BigInt().Append(digits, 10)
	}
	for len(digits) <= scale {
		digits = append([]byte{'0'}, digits...)
	}
	end := len(digits)
	for end > len(digits)-scale && digits[end-1] == '0' {
		end--
	}
	point := len(digits) - scale
	dst = append(dst, digits[:point]...)
	if end == point {
		return dst
	}
	dst = append(dst, '.')
	return append(dst, digits[point:end]...)
}

// appendSeconds appends an instant as 2024-03-01T09:15:00, in UTC.
func appendSeconds(dst []byte, at arrow.Timestamp) []byte {
	dst = time.UnixMicro(int64(at)).UTC().AppendFormat(dst, time.RFC3339)
	return dst[:len(dst)-1] // the Z
}

// appendMillis appends an instant as 2024-03-01T09:15:00.042Z.
func appendMillis(dst []byte, at arrow.Timestamp) []byte {
	dst = appendSeconds(dst, at)
	ms := (at/1000%1000 + 1000) % 1000
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}
