// Package ingest is the producers' door: it takes events over HTTP and makes
// them durable in Kafka.
//
// It serves contract 1, POST /v1/event/report and its siblings
// /v1/user/register, /v1/user/property and /v1/user/contact, and promises:
//
//   - a 2xx means that Kafka has acknowledged every event or change of the
//     request (acks=all); anything else means that to send the request again is safe:
//     events that carry a random_id are then counted once;
//   - a request is taken whole or not at all by its content: every event is
//     decoded and checked before the first is published, and every bad one is
//     named by its place and field;
//   - memory is bounded whatever comes in: bodies by MaxBodyBytes after
//     decompression, all of them together by Config.MaxHeldBytes, what waits
//     for Kafka by KafkaOpts; beyond a bound the answer is 429 or 503 with
//     Retry-After;
//   - contacts are personal data: nothing of what a request says of them is in
//     a log, an answer or a metric;
//   - every answer, the errors too, is {"code":int,"message":string}. See
//     envelope.go for the codes.
//
// It needs the registry for keys and Kafka for the events. Without one of them
// it answers 503 and keeps nothing.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/registry"
	"weir/schemas/topic"
)

// Config says what the edge takes. The zero value works.
type Config struct {
	MaxInFlight    int           // requests a key may have in flight; 0 means 64
	MaxHeldBytes   int64         // bodies held in memory by all requests; 0 means 256 MiB
	ReadTimeout    time.Duration // for one request's body to arrive; 0 means 30s
	PublishTimeout time.Duration // for Kafka to acknowledge one request; 0 means 10s
	AllowedOrigins []string      // origins that browsers may send from, "*" for all; none by default
	GeoIP          string        // file in which the country of an event's $ip is looked up, a MaxMind DB; "" looks nothing up
}

func (c Config) withDefaults() Config {
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 64)
	c.MaxHeldBytes = cmp.Or(c.MaxHeldBytes, 256<<20)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	c.PublishTimeout = cmp.Or(c.PublishTimeout, 10*time.Second)
	return c
}

// Registry is the part of the registry the edge needs.
type Registry interface {
	AuthenticateSource(ctx context.Context, key, secret string) (registry.Source, error)
	RegisterIdentities(ctx context.Context, product int64, name string, values []string) ([]int64, error)
}

// Deps is what the edge works with. All but Full and Metrics are required.
type Deps struct {
	Registry Registry
	Kafka    *kgo.Client // made with KafkaOpts
	Layout   topic.Layout
	Full     func() error // why no more events can be kept just now, nil when they can; nil means never full
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil keeps the figures to ourselves
}

// Service is the edge. It is safe for use by many goroutines and has none of
// its own.
type Service struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	now     func() time.Time
	geoDB   *maxminddb.Reader // nil without Config.GeoIP

	limiters        keyLimiters
	heldBytes       atomic.Int64 // bytes of bodies in memory
	timedOutBatches atomic.Int64 // shipments that outlived their request; see publish

	lastWarning atomic.Int64 // when a refusal was last logged; nanoseconds
	suppressed  atomic.Int64 // refusals since

	decoders sync.Pool // of *decoder
	batches  sync.Pool // of *shipment
	gzips    sync.Pool // of *gzip.Reader
	zstds    sync.Pool // of *zstd.Decoder
}

// New makes the edge.
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
	s := &Service{cfg: cfg.withDefaults(), deps: deps, now: time.Now}
	var err error
	if s.geoDB, err = openGeoDB(cfg.GeoIP, deps.Log); err != nil {
		return nil, err
	}
	s.metrics, err = newMetrics(deps.Metrics, func() float64 { return float64(s.heldBytes.Load()) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// KafkaOpts are the client options that the promises rest on. The caller adds
// where the brokers are.
func KafkaOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()), // with the client's idempotence, which is on unless disabled
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
		kgo.ProducerLinger(2 * time.Millisecond), // lets concurrent requests share a batch
		kgo.MaxBufferedRecords(200_000),
		kgo.MaxBufferedBytes(64 << 20),
		kgo.RecordDeliveryTimeout(30 * time.Second),
	}
}

// Ready says whether an event can be sent: nil, or what is in the way.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.deps.Full(); err != nil {
		return fmt.Errorf("ingest is full: %w", err)
	}
	if n := s.timedOutBatches.Load(); n > 0 {
		return fmt.Errorf("%d requests still wait for kafka", n)
	}
	if err := s.deps.Kafka.Ping(ctx); err != nil {
		return fmt.Errorf("ping kafka: %w", err)
	}
	return nil
}
