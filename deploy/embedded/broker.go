package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

// segmentBytes is the size at which the broker starts a new segment file of a
// partition. Only whole segments are deleted, so up to this many committed bytes
// per shard remain in the log.
const segmentBytes = 16 << 20

// broker is one Kafka broker on loopback.
type broker struct {
	dir     string
	cluster *kfake.Cluster
	addr    string
	login   Login
	guard   *guard
}

// startBroker reads the log in dir and serves it.
func startBroker(dir string, cfg Config) (*broker, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	port, err := loopbackPort(cfg.ListenKafka)
	if err != nil {
		return nil, fmt.Errorf("address of the embedded broker: %w", err)
	}
	login, err := brokerLogin(cfg.Dir)
	if err != nil {
		return nil, err
	}
	guard, err := newGuard(cfg, login)
	if err != nil {
		return nil, err
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(port), // one broker
		kfake.ListenFn(guard.listen),
		kfake.ClusterID("weir"),
		kfake.DataDir(dir),
		kfake.SyncWrites(), // fsync before the acknowledgement: ingest answers 200 on its strength
		kfake.WithLogger(kfakeLogger{cfg.Log}),
		// No retention by age or size: it would delete records that are not in the
		// lake yet. The Janitor deletes, below the smallest committed offset.
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":   strconv.Itoa(segmentBytes),
			"log.retention.ms":    "-1",
			"log.retention.bytes": "-1",
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker on %s: %w", dir, err)
	}
	return &broker{dir: dir, cluster: cluster, addr: cluster.ListenAddrs()[0], login: login, guard: guard}, nil
}

func (b *broker) close() {
	b.guard.closed.Store(true)
	b.cluster.Close()
}

// kfakeLogger writes the broker's messages to our log.
type kfakeLogger struct{ log *slog.Logger }

// Logf implements kfake.Logger. Warnings need an operator: a record that could not
// be written, or a log that was truncated at a torn batch.
func (l kfakeLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	ours := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		ours = slog.LevelError
	case kfake.LogLevelWarn:
		ours = slog.LevelWarn
	default:
	}
	ctx := context.Background() //nolint:forbidigo // the interface has no context
	if !l.log.Enabled(ctx, ours) {
		return
	}
	l.log.Log(ctx, ours, "embedded broker", "detail", fmt.Sprintf(format, args...))
}
