package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

// segmentBytes is the size at which the broker begins a new file of a
// partition. Only whole files are ever deleted, so it also says how much of a
// committed log stays behind: this much for each shard.
const segmentBytes = 16 << 20

// broker is one Kafka broker on loopback.
type broker struct {
	dir     string
	cluster *kfake.Cluster
	addr    string
}

// startBroker reads the whole log that lies in dir and then serves it.
func startBroker(dir string, cfg Config) (*broker, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	port, err := loopbackPort(cfg.ListenKafka)
	if err != nil {
		return nil, fmt.Errorf("address of the embedded broker: %w", err)
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(port), // one broker
		kfake.ListenFn(listenGuarded),
		kfake.ClusterID("weir"),
		kfake.DataDir(dir),
		kfake.SyncWrites(), // a produce is answered after fsync
		kfake.WithLogger(kfakeLogger{cfg.Log}),
		// Retention is the janitor's: the broker's own would delete what is not
		// committed, and does not run after a restart anyway.
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":   strconv.Itoa(segmentBytes),
			"log.retention.ms":    "-1",
			"log.retention.bytes": "-1",
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker on %s: %w", dir, err)
	}
	return &broker{dir: dir, cluster: cluster, addr: cluster.ListenAddrs()[0]}, nil
}

func (b *broker) close() { b.cluster.Close() }

// loopbackPort takes the port out of a host:port that must be on loopback:
// neither part knows passwords worth the name of a network.
func loopbackPort(addr string) (int, error) {
	if addr == "" {
		return 0, nil
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, fmt.Errorf("%q is not host:port: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.Equal(net.IPv4(127, 0, 0, 1))) {
		return 0, fmt.Errorf("%q is not on loopback: use 127.0.0.1", addr)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q has no port number: %w", addr, err)
	}
	return int(port), nil
}

// kfakeLogger lets the broker speak through our log.
type kfakeLogger struct{ log *slog.Logger }

// Logf has the library's signature. Its warnings are what a person should see:
// a record that could not be written, a log that was cut at a torn batch.
func (l kfakeLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	ours := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		ours = slog.LevelError
	case kfake.LogLevelWarn:
		ours = slog.LevelWarn
	default:
	}
	ctx := context.Background() //nolint:forbidigo // the library has none to give
	if !l.log.Enabled(ctx, ours) {
		return
	}
	l.log.Log(ctx, ours, "embedded broker", "detail", fmt.Sprintf(format, args...))
}
