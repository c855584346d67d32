// Package export builds, lists and closes the export files of products: CSV in a
// zip archive, for each product, kind of events and day or month of arrival.
//
// It promises:
//
//   - Each event is in exactly one daily file of its product and kind: that of
//     the day on which it arrived, by log time. A day closes when the log of
//     every shard has passed its end. From then on its files never change.
//   - The file of an open day has every event that was acknowledged before the
//     download was requested, unless Coverage lists a shard as partial.
//   - A file is valid for RFC 4180 and for every zip reader. A build that fails
//     half-way is an error and leaves no file: the upload ends without an object.
//   - Every object in the bucket is either recorded in the registry as a file or
//     on its list of objects to delete. So a crash at any point leaves nothing
//     behind, and every step can be repeated.
//
// It needs the registry, the lake, a view.Reader and a bucket. Run fails with
// nothing: it logs an error and tries again. Other calls fail with a RequestError
// or with the errors of what they need.
//
// A build holds a few blocks of content for each worker and Config.ClientBytes of
// what the clients of its rows reported, whatever the number of rows; Config.Builds
// bounds how many clients build at once.
package export

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/query/view"
	"weir/schemas/lake"
	"weir/schemas/objects"
	"weir/schemas/places"
	"weir/schemas/registry"
)

// maxDeflaters bounds the deflate workers of one build: with their blocks and
// the parts of the upload it bounds what a build holds in memory.
const maxDeflaters = 8

// Config says how files are built. All fields are required.
type Config struct {
	Builds       int           // builds of open days that run at once, each for a client that waits
	BuildWait    time.Duration // how long a client waits for one of them to end
	DayFiles     int           // objects of open days that a product may have until they are deleted
	DeflateLevel int           // 1 (fast) to 9 (small)
	DownloadTTL  time.Duration // how long a link works
	CloseEvery   time.Duration // how often Run looks for days that have closed
	ClientBytes  int64         // of memory for the clients of a file; more clients are read in several passes
}

// Bucket is the part of the object store that exports need.
type Bucket interface {
	// Upload puts what r yields, and nothing if r fails.
	Upload(ctx context.Context, key string, r io.Reader) (int64, error)
	// GetRange returns n bytes from off on; fs.ErrNotExist if there is no object.
	GetRange(ctx context.Context, key string, off, n int64) ([]byte, error)
	Presign(ctx context.Context, in objects.PresignInput) (string, error)
	Delete(ctx context.Context, keys ...string) error
}

// Deps are what Files work with. All but Bucket and Metrics are required.
type Deps struct {
	Registry *registry.Registry
	Lake     *lake.Lake
	Owners   *view.Owners
	Views    *view.Reader
	Bucket   Bucket // nil: Run does nothing, and there are no downloads
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil registers nothing
}

// Files are the export files of all products. It is safe for concurrent use.
type Files struct {
	cfg      Config
	registry *registry.Registry
	lake     *lake.Lake
	owners   *view.Owners
	views    *view.Reader
	bucket   Bucket // nil without exports
	log      *slog.Logger
	metrics  *metrics

	lockOwner string         // this process, in the registry's lock
	locks     fileLocks      // of files of open days
	builds    *places.Places // of builds that a client waits for
	deflaters int            // in each build
}

// Question asks for files or lines of one kind and product. The asker is
// allowed to see the product.
type Question struct {
	Kind      Kind
	Account   string // whose product it is
	Product   int64
	Watermark view.Watermark // the answer includes at least that; nil is the newest there is
}

// New returns Files. It reads nothing yet.
func New(cfg Config, deps Deps) (*Files, error) {
	builds := places.New(places.Config{Places: cfg.Builds, Wait: cfg.BuildWait})
	m, err := newMetrics(deps.Metrics, builds.Usage)
	if err != nil {
		return nil, err
	}
	return &Files{
		cfg: cfg, registry: deps.Registry, lake: deps.Lake, owners: deps.Owners, views: deps.Views, bucket: deps.Bucket,
		log: deps.Log, metrics: m, lockOwner: rand.Text(),
		builds: builds, deflaters: min(runtime.GOMAXPROCS(0), maxDeflaters),
	}, nil
}
