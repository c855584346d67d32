package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"weir/schemas/registry"
)

// errOtherColumns says that a daily file has other columns than files that are
// built now.
var errOtherColumns = errors.New("the daily file has other columns")

// monthJob is the job of the file of a month: the records of its daily files, one
// file after the other.
//
// It reads files that are closed instead of scanning the month again, so that a
// month has exactly what its days have, at a small part of the cost.
func monthJob(bucket Bucket, k Kind, product int64, month Period, days []registry.ExportFile) buildJob {
	job := buildJob{kind: k, product: product, period: month}
	job.write = func(ctx context.Context, w io.Writer) (int64, int, error) {
		out := &recordWriter{w: w, header: k.appendHeader(nil)}
		if _, err := w.Write(out.header); err != nil {
			return 0, 0, err
		}
		for _, day := range days {
			if err := out.appendDay(ctx, bucket, day); err != nil {
				return out.records, 0, fmt.Errorf("append daily file %s: %w", day.Key, err)
			}
		}
		return out.records, 0, nil
	}
	return job
}

// unusable reports whether a daily file cannot be appended to a month, today or
// ever: then the month is built from the events.
func unusable(err error) bool {
	return errors.Is(err, errOtherColumns) || errors.Is(err, errZip) || errors.Is(err, fs.ErrNotExist)
}

// objectReader reads an object of known size in pieces.
type objectReader struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one call of appendDay; io.Reader has no parameter for it
	bucket Bucket
	key    string
	off    int64
	left   int64
	piece  []byte
}

// objectPiece is how much of an object is read at once, in bytes.
const objectPiece = 4 << 20

func (o *objectReader) Read(p []byte) (int, error) {
	if len(o.piece) == 0 {
		if o.left == 0 {
			return 0, io.EOF
		}
		n := min(o.left, objectPiece)
		piece, err := o.bucket.GetRange(o.ctx, o.key, o.off, n)
		if err != nil {
			return 0, err
		}
		o.piece, o.off, o.left = piece, o.off+n, o.left-n
	}
	n := copy(p, o.piece)
	o.piece = o.piece[n:]
	return n, nil
}

// recordWriter passes the records of one CSV file after the other on to w,
// without their headers, and counts them.
type recordWriter struct {
	w       io.Writer
	header  []byte // that every file must have
	skipped int    // bytes of the header of this file that have come
	quoted  bool   // within quotes, where a line break does not end a record
	records int64
}

// appendDay appends the records of a daily file, which must be as many as were
// recorded.
func (r *recordWriter) appendDay(ctx context.Context, bucket Bucket, day registry.ExportFile) error {
	object := &objectReader{ctx: ctx, bucket: bucket, key: day.Key, left: day.ZipBytes}
	before := r.records
	r.begin()
	if err := readZip(object, r); err != nil {
		return err
	}
	if n := r.records - before; n != day.Rows {
		return fmt.Errorf("%w: %d records, recorded were %d", errZip, n, day.Rows)
	}
	return r.end()
}

// begin begins another file.
func (r *recordWriter) begin() { r.skipped, r.quoted = 0, false }

// end checks that the file had a whole header and whole records.
func (r *recordWriter) end() error {
	if r.skipped < len(r.header) {
		return errOtherColumns
	}
	if r.quoted {
		return fmt.Errorf("%w: a field does not end", errZip)
	}
	return nil
}

func (r *recordWriter) Write(p []byte) (int, error) {
	n := min(len(r.header)-r.skipped, len(p))
	if !bytes.Equal(p[:n], r.header[r.skipped:r.skipped+n]) {
		return 0, errOtherColumns
	}
	r.skipped += n
	for _, c := range p[n:] {
		switch {
		case c == '"':
			r.quoted = !r.quoted // a quote within a field is two of them
		case c == '\n' && !r.quoted:
			r.records++
		}
	}
	m, err := r.w.Write(p[n:])
	return n + m, err
}
