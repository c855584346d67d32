// Package ingest serves the Ingestion API: it takes events over HTTP and makes
// them durable in Kafka.
//
// The endpoints are POST /v1/event/report, /v1/user/register,
// /v1/user/property and /v1/user/contact, and POST /weir/v1/identities, which is
// our own. The package guarantees:
//
//   - A 2xx means that Kafka has acknowledged every event or change of the
//     request with acks=all. After any other answer the client may send the
//     same request again; events with a random_id are then counted once.
//   - A request is accepted or refused as a whole. Every event is decoded and
//     checked before the first one is published, and the answer names every
//     bad event by its index and field.
//   - Memory is bounded. schemas.MaxBodyBytes limits one body after
//     decompression, Config.MaxHeldBytes all that requests hold until Kafka has
//     acknowledged them, of which no account can take the part of the others
//     (budget). Beyond a limit the answer is 429 or 503 with Retry-After.
//   - Contacts are personal data. Their names and values are written to no log,
//     no answer and no metric.
//   - Every answer, also an error, is {"code":int,"message":string}; envelope.go
//     lists the codes.
//
// The package needs the registry to authenticate keys and Kafka to store
// events. While either is unavailable it answers 503 and stores nothing.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/registry"
	"weir/schemas/topic"
)

// Config sets the limits of the service. The zero value works.
type Config struct {
	MaxInFlight                     int           // requests that one key may have in flight; 0 means 64
	MaxHeldBytes                    int64         // memory that all requests together may hold until they are acknowledged; 0 means 256 MiB
	ReadTimeout                     time.Duration // for the body of one request to arrive; 0 means 30s
	PublishTimeout                  time.Duration // for Kafka to acknowledge one request; 0 means 10s
	AllowedOrigins                  []string      // origins from which browsers may send, "*" for all; none by default
	MaxSourceBytes, MaxAccountBytes int64         // parts of MaxHeldBytes that one data source and one account may hold once half of it is held; 0 means an eighth and a quarter
	MaxUnackedBytes                 int64         // of records that are with Kafka at once; 0 means 8 MiB
	Decoders                        int           // bodies that are decoded at once, of which a quarter may be large; 0 means two for each CPU
	MaxRegistrations                int           // requests that register names that are with the database at once; 0 means 4
	QueueWait                       time.Duration // for a turn to decode, and then to publish; 0 means 5s
	GeoIP                           string        // path of the MaxMind DB that maps an event's $ip to a country; "" disables the look-up
}

func (c Config) withDefaults() Config {
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 64)
	c.MaxHeldBytes = cmp.Or(c.MaxHeldBytes, 256<<20)
	c.MaxSourceBytes = cmp.Or(c.MaxSourceBytes, c.MaxHeldBytes/8)
	c.MaxAccountBytes = cmp.Or(c.MaxAccountBytes, c.MaxHeldBytes/4)
	c.MaxUnackedBytes = cmp.Or(c.MaxUnackedBytes, 8<<20)
	c.Decoders = cmp.Or(c.Decoders, runtime.GOMAXPROCS(0))
	c.MaxRegistrations = cmp.Or(c.MaxRegistrations, 4)
	c.QueueWait = cmp.Or(c.QueueWait, 5*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	c.PublishTimeout = cmp.Or(c.PublishTimeout, 10*time.Second)
	return c
}

// Registry is the part of registry.Registry that the service needs.
type Registry interface {
	AuthenticateSource(ctx context.Context, key, secret string) (registry.Source, error)
	RegisterIdentities(ctx context.Context, product int64, name string, values []string) ([]int64, error)
	LinkIdentities(ctx context.Context, product int64, items []registry.ClientNames) (registry.Linked, error)
}

// Deps are the dependencies of the service. All but Full and Metrics are
// required.
type Deps struct {
	Registry Registry
	Kafka    *kgo.Client // made with KafkaOpts
	Layout   topic.Layout
	Full     func() error // returns why no more events can be stored now, or nil; a nil func means never full
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil registers no metrics
}

// Service serves the Ingestion API. It is safe for concurrent use and starts
// no goroutines.
type Service struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	now     func() time.Time
	geoDB   *maxminddb.Reader // nil without Config.GeoIP

	limiters      keyLimiters
	memory        *budget
	registrations *registrations
	lateShards    *lateShards

	lastWarning atomic.Int64 // when unavailable last wrote to the log; Unix nanoseconds
	suppressed  atomic.Int64 // 503 answers since then

	decoders      sync.Pool // of *decoder
	batches       sync.Pool // of *batch
	buffers       bufferPool
	decompressors decompressors
}

// New returns a service that is ready to serve, or an error when a dependency
// is missing or the GeoIP database cannot be opened.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Registry == nil || deps.Kafka == nil || deps.Log == nil {
		return nil, errors.New("ingest needs a registry, a Kafka client and a log")
	}
	if deps.Layout.Shards <= 0 {
		return nil, fmt.Errorf("ingest needs a topic layout, not one of %d shards", deps.Layout.Shards)
	}
	if deps.Full == nil {
		deps.Full = func() error { return nil }
	}
	s := &Service{cfg: cfg.withDefaults(), deps: deps, now: time.Now, lateShards: newLateShards(deps.Layout.Shards)}
	s.memory = newBudget(s.cfg)
	var err error
	if s.geoDB, err = openGeoDB(cfg.GeoIP, deps.Log); err != nil {
		return nil, err
	}
	if s.registrations, err = newRegistrations(s.cfg.MaxRegistrations, s.cfg.QueueWait, deps.Metrics); err != nil {
		return nil, err
	}
	s.metrics, err = newMetrics(deps.Metrics, s.memory, s.lateShards)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Ready returns nil when an event could be accepted now, or the reason why not.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.deps.Full(); err != nil {
		return fmt.Errorf("ingest is full: %w", err)
	}
	if err := s.lateShards.allLate(); err != nil {
		return err
	}
	if err := s.deps.Kafka.Ping(ctx); err != nil {
		return fmt.Errorf("ping kafka: %w", err)
	}
	return nil
}
