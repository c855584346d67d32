package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"weir/schemas"
)

const helpImport = `usage: WEIR_SECRET=… weir import --url URL --key KEY [FLAG]... FILE...

Sends files of events to the Ingestion API. A line of a file is one event, as
an item of data[] of POST /v1/event/report; files may be plain, gzip or zstd,
and - is standard input. A file may also be a raw export, 1001_2024-03-01.zip or
the CSV in it; see below. What begins with { has lines, anything else must be a
raw export. The secret of the data source comes from the variable
WEIR_SECRET, so that no list of processes shows it.

  --url URL        of the server, e.g. http://127.0.0.1:8080
  --key KEY        of the data source
  --parallel N     requests in flight [4]
  --rate N         events a second at most; 0 is as fast as it goes [0]
  --retry-for T    how long one request is retried when the server cannot be
                   reached or answers 408, 429 or 5xx [10m]

An event that the server rejects, and a line that is no JSON object, is written
to FILE.rejected (- to stdin.rejected) with its line number and the reason. The
other events are sent; the exit code is then 1.

A line without random_id gets one that is a hash of its content, so that a file
sent again, whole or in part, counts nothing twice within the server's dedupe
window. Two lines that are equal byte for byte so count as one event: give them
random_ids if they are two.

Raw exports are read whole and then sent in the order of the log they came from,
so that the server gives the same answers about their events. Name all files in
one command: a row that is in two of them is sent once, and a random_id that was
used again after the dedupe window is replaced in all events but the first. Rows
beyond 40 MB are sorted on disk, in the folder of the variable TMPDIR. Names of
clients, changes of user attributes, labels and license keys are not in them.

Ctrl-C ends after the requests in flight; start the command again to continue.
`

// importOptions are the flags of import.
type importOptions struct {
	URL      string        `key:"url"`
	Key      string        `key:"key"`
	Parallel int           `key:"parallel" default:"4"`
	Rate     float64       `key:"rate" default:"0"`
	RetryFor time.Duration `key:"retry_for" default:"10m"`
}

// Limits of one request.
const (
	batchEvents = 500
	batchBytes  = 2 << 20
)

// runImport sends the files that args name.
func runImport(ctx context.Context, p *process, args []string) error {
	var opts importOptions
	settings, _ := listSettings(&opts)
	if err := setDefaults(settings); err != nil {
		return err
	}
	files, _, err := parseFlags(args, settings)
	if err := errors.Join(err, opts.check(files, p.getenv("WEIR_SECRET"))); err != nil {
		return usageError{err}
	}
	im := newImporter(opts, p.getenv("WEIR_SECRET"))
	return im.run(ctx, p, files)
}

// check returns all mistakes at once.
func (o importOptions) check(files []string, secret string) error {
	var errs []error
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, fmt.Errorf("--url is %q, want something like http://127.0.0.1:8080", o.URL))
	}
	if o.Key == "" {
		errs = append(errs, errors.New("--key is not set: the key of a data source"))
	}
	if secret == "" {
		errs = append(errs, errors.New("the variable WEIR_SECRET is not set: the secret that goes with --key"))
	}
	if o.Parallel < 1 || o.Parallel > 64 {
		errs = append(errs, fmt.Errorf("--parallel is %d, want 1 to 64", o.Parallel))
	}
	if o.Rate < 0 {
		errs = append(errs, errors.New("--rate must not be negative"))
	}
	if len(files) == 0 {
		errs = append(errs, errors.New("no file is named; - is standard input"))
	}
	return errors.Join(errs...)
}

// importer sends batches of events and counts the results.
type importer struct {
	opts    importOptions
	secret  string
	target  string
	client  *http.Client
	limiter *rate.Limiter // nil means no limit
	batch   int           // events in a batch

	sent, rejected, retries, read atomic.Int64 // events, events, requests, bytes of files
	rawRows                       atomic.Int64 // of raw files, once all are read; they are then sent
	note                          func(string) // shows a line to the user
}

// newImporter does not follow redirects: a redirected POST becomes a GET, whose
// answer says nothing about the events.
func newImporter(opts importOptions, secret string) *importer {
	im := &importer{
		opts: opts, secret: secret, batch: batchEvents,
		target: strings.TrimSuffix(opts.URL, "/") + "/v1/event/report",
		client: &http.Client{
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: opts.Parallel, IdleConnTimeout: time.Minute,
			},
		},
	}
	if opts.Rate > 0 { // ten batches a second spread a small rate evenly
		im.batch = min(batchEvents, max(1, int(opts.Rate/10)))
		im.limiter = rate.NewLimiter(rate.Limit(opts.Rate), im.batch)
	}
	return im
}

// errInterrupted means that a signal ended the import early.
var errInterrupted = errors.New("stopped before the end: what was sent is safe, start it again for the rest")

// run sends all files and shows the progress. It returns nil only when the
// server has accepted every event.
func (im *importer) run(ctx context.Context, p *process, files []string) error {
	sources, err := openInputs(files, p.stdin)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range sources {
			s.close()
		}
	}()
	show := newProgress(p.stderr, im, totalSize(sources))
	im.note = show.note
	raw := newRawImport()
	defer raw.close()
	err = im.sendAll(ctx, sources, raw)
	show.stopAndWait()
	p.print("%s%s", im.summary(show.elapsed(), sources), raw.summary())
	for _, s := range sources {
		err = errors.Join(err, s.closeRejected())
	}
	if err == nil && ctx.Err() != nil {
		err = errInterrupted
	}
	if err == nil && im.rejected.Load() > 0 {
		err = fmt.Errorf("%d events were rejected", im.rejected.Load())
	}
	return err
}

// sendAll sends the files of lines while it reads them, and then those of raw events,
// all of which must have been read before.
func (im *importer) sendAll(ctx context.Context, sources []*inputFile, raw *rawImport) error {
	err := im.sendLines(ctx, sources, raw)
	if err == nil && len(raw.sources) > 0 {
		err = im.sendRaw(ctx, raw)
	}
	if errors.Is(err, context.Canceled) {
		return nil // run says that it was stopped
	}
	return err
}

// sendLines reads the files one after another while opts.Parallel goroutines send
// the batches. It gathers those of raw events in raw. Rejected events do not end it;
// any other error does.
func (im *importer) sendLines(ctx context.Context, sources []*inputFile, raw *rawImport) error {
	batches := make(chan batch, im.opts.Parallel)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		for _, s := range sources {
			if err := im.readAll(gctx, s, raw, batches); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		return nil
	})
	for range im.opts.Parallel {
		g.Go(func() error {
			for b := range batches {
				if err := im.send(gctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// readAll reads one file, whatever it is.
func (im *importer) readAll(ctx context.Context, s *inputFile, raw *rawImport, to chan<- batch) error {
	text, done, err := s.text(&im.read)
	if err != nil {
		return err
	}
	defer done()
	switch first, err := firstByte(text); {
	case err != nil:
		return err
	case first == 0 && isExportName(s.name):
		return errEmptyExport
	case first == 0 || first == '{':
		return im.readLines(ctx, s, text, to)
	}
	return raw.gather(ctx, s, newCSVReader(text), im.note, im.reject)
}

// readLines splits a file of lines into batches and passes them to the senders.
func (im *importer) readLines(ctx context.Context, s *inputFile, text *bufio.Reader, to chan<- batch) error {
	var b batch
	flush := func() error {
		if len(b.items) == 0 {
			return nil
		}
		select {
		case to <- b:
			b = batch{}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for it, err := range s.items(text) {
		if err != nil {
			return err
		}
		if it.bad != "" {
			if err := im.reject(it, schemas.ItemError{Reason: it.bad}); err != nil {
				return err
			}
			continue
		}
		if len(b.items) == im.batch || b.bytes+len(it.text) > batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		b.add(it)
	}
	return flush()
}

// reject counts a rejected event and writes it to the rejected file.
func (im *importer) reject(it item, why schemas.ItemError) error {
	im.rejected.Add(1)
	return it.source.reject(it, why)
}

// summary returns the last lines of the output.
func (im *importer) summary(took time.Duration, sources []*inputFile) string {
	var b strings.Builder
	sent := im.sent.Load()
	perSecond := float64(sent) / max(took.Seconds(), 0.001)
	fmt.Fprintf(&b, "sent %d events of %s in %s, %.0f a second", sent, plural(len(sources), "file"), took.Round(10*time.Millisecond), perSecond)
	if n := im.retries.Load(); n > 0 {
		fmt.Fprintf(&b, ", after trying again %s", plural(int(n), "time"))
	}
	b.WriteString("\n")
	for _, s := range sources {
		if n := s.rejectedCount(); n > 0 {
			fmt.Fprintf(&b, "rejected %s, see %s\n", plural(n, "event"), s.rejectedPath())
		}
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
