package export

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/registry"
)

// abandonedAfter is how long a build may take. One that is not recorded by then
// has died, and its object is deleted.
const abandonedAfter = 24 * time.Hour

// failedAfter is the same for a build that is known to have failed.
const failedAfter = 5 * time.Minute

// buildJob is a file to be built.
type buildJob struct {
	kind    Kind
	product int64
	period  Period
	rows    string // identity of the rows of an open day; "" of a closed one

	// write writes the CSV and returns its records without the header, and the
	// passes over clients that it took.
	write func(ctx context.Context, w io.Writer) (records int64, passes int, err error)
}

// scanJob is the job of a file that is made of the events of v. clientBytes is
// Config.ClientBytes.
func scanJob(v *view.View, k Kind, product int64, period Period, clientBytes int64) buildJob {
	job := buildJob{kind: k, product: product, period: period}
	job.write = func(ctx context.Context, w io.Writer) (int64, int, error) {
		out := newCSVFile(k, w)
		scan := clientScan{
			view: v, product: product, all: k.AllProperties, maxBytes: clientBytes,
			rows: &fileRows{view: v, filter: arrivedIn(period, product), out: out},
		}
		passes, err := scan.run(ctx, everyClient())
		if err != nil {
			return out.records, passes, err
		}
		return out.records, passes, out.flush()
	}
	return job
}

// heldJob is the job of a file that is made of events in memory, with the values of its
// clients.
func heldJob(held *heldRows, k Kind, product int64, period Period, values *clientValues) buildJob {
	job := buildJob{kind: k, product: product, period: period}
	job.write = func(ctx context.Context, w io.Writer) (int64, int, error) {
		n, err := held.write(ctx, k, product, values, w)
		return n, 1, err
	}
	return job
}

// build builds the file of job and puts it under a key of its own, as one
// stream: scan, CSV, deflate and upload run at once and hold a few blocks each,
// whatever the number of rows.
//
// The registry lists the object for deletion before it is put, so that a build
// that dies leaves no object that nobody knows. The caller records the file,
// which takes the object off the list.
func (f *Files) build(ctx context.Context, job buildJob, watermark string) (registry.ExportFile, error) {
	start := time.Now()
	file := registry.ExportFile{
		Product: job.product, Kind: job.kind.Code, First: job.period.FirstDay(), Last: job.period.LastDay(),
		Key: job.newKey(), Watermark: watermark, Built: start.UTC().Truncate(time.Microsecond),
	}
	if err := f.registry.BeginExport(ctx, file.Key, abandonedAfter); err != nil {
		return file, err
	}
	passes, err := f.stream(ctx, job, &file)
	if err != nil {
		abandon(ctx, f, file.Key)
		return file, fmt.Errorf("build export %s: %w", file.Key, err)
	}
	f.metrics.built(file, time.Since(start))
	f.log.InfoContext(ctx, "export built", "key", file.Key, "rows", file.Rows, "csv_bytes", file.CSVBytes,
		"zip_bytes", file.ZipBytes, "passes", passes, "duration_ms", time.Since(start).Milliseconds())
	return file, nil
}

// abandon schedules the deletion of what a failed build may have put, also when its
// client has left. The store may still be taking the last bytes, so not at once; and
// if this fails, abandonedAfter holds.
func abandon(ctx context.Context, f *Files, key string) {
	if err := f.registry.BeginExport(context.WithoutCancel(ctx), key, failedAfter); err != nil {
		f.log.WarnContext(ctx, "failed build is deleted late", "key", key, "err", err)
	}
}

// contents numbers what files contain, and stands in the keys of their objects.
// Raise it with every change of columns or values: then a file of an open day
// that the version before has built is not given again as if it were our own.
// Version 1 had no number in its keys.
const contents = "v2"

// newKey returns another key each time, so that no build ever overwrites the
// object of another.
func (b buildJob) newKey() string {
	id := rand.Text()
	if b.rows != "" {
		id += "-" + b.rows
	}
	return keyPrefix(b.product, b.kind) + id + "/" + b.kind.FileName(b.product, b.period)
}

// keyPrefix begins the keys of all files of a product and kind that this version
// builds.
func keyPrefix(product int64, kind Kind) string {
	return strconv.FormatInt(product, 10) + "/" + kind.Code + "/" + contents + "/"
}

// stream runs the stages. An error closes the pipe from either end, so that the
// upload of a file that is cut short fails and puts nothing.
func (f *Files) stream(ctx context.Context, job buildJob, file *registry.ExportFile) (passes int, err error) {
	g, ctx := errgroup.WithContext(ctx)
	from, to := io.Pipe()
	g.Go(func() error {
		sizes, err := WriteZip(ctx, to, f.member(job, file.Built), func(ctx context.Context, w io.Writer) error {
			var err error
			file.Rows, passes, err = job.write(ctx, w)
			return err
		})
		file.CSVBytes = sizes.Raw
		to.CloseWithError(err)
		return err
	})
	g.Go(func() error {
		n, err := f.bucket.Upload(ctx, file.Key, from)
		file.ZipBytes = n
		from.CloseWithError(err)
		return err
	})
	err = g.Wait()
	return passes, err
}

// member describes the CSV file inside the archive of job.
func (f *Files) member(job buildJob, at time.Time) Member {
	return Member{
		Name: job.kind.MemberName(job.product, job.period), Modified: at,
		Level: f.cfg.DeflateLevel, Workers: f.deflaters,
	}
}

// arrivedIn is the filter for the events of products, or of all when none is
// named, that arrived in period.
func arrivedIn(period Period, products ...int64) columns.Filter {
	return columns.Filter{Products: products, ArrivalFrom: period.First.UnixMilli(), ArrivalTo: period.End().UnixMilli()}
}
