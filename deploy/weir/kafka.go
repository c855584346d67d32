package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// maxProduce is the largest request that a client sends to a broker; bytes. The
// embedded broker closes the connection at 16 MiB.
const maxProduce = 15 << 20

// kafka returns a new client of the cluster, with opts added.
func (a *app) kafka(opts ...kgo.Opt) (*kgo.Client, error) {
	if a.dial != nil {
		opts = append(opts, kgo.Dialer(a.dial))
	}
	return kafkaClient(a.cfg.Kafka, a.log, opts...)
}

// kafkaClient returns a client without connecting: the first request does.
func kafkaClient(cfg kafkaConfig, log *slog.Logger, opts ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID("weir"),
		kgo.BrokerMaxWriteBytes(maxProduce),
		kgo.DialTimeout(cfg.RequestTimeout),
		kgo.RequestTimeoutOverhead(cfg.RequestTimeout),
		kgo.WithLogger(kafkaLog{log}),
	}
	if cfg.TLS {
		base = append(base, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if login := saslMechanism(cfg); login != nil {
		base = append(base, kgo.SASL(login))
	}
	client, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("make a kafka client: %w", err)
	}
	return client, nil
}

// saslMechanism returns nil for kafka.sasl none.
func saslMechanism(cfg kafkaConfig) sasl.Mechanism {
	switch cfg.SASL {
	case "plain":
		return plain.Auth{User: cfg.User, Pass: cfg.Password}.AsMechanism()
	case "scram-sha-256":
		return scram.Auth{User: cfg.User, Pass: cfg.Password}.AsSha256Mechanism()
	case "scram-sha-512":
		return scram.Auth{User: cfg.User, Pass: cfg.Password}.AsSha512Mechanism()
	}
	return nil
}

// kafkaLog writes warnings and errors of the Kafka client to our log.
type kafkaLog struct{ log *slog.Logger }

// Level is the lowest level that is logged.
func (kafkaLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements kgo.Logger.
func (l kafkaLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	ours := slog.LevelWarn
	if level == kgo.LogLevelError {
		ours = slog.LevelError
	}
	l.log.Log(context.Background(), ours, "kafka client", append([]any{"detail", msg}, keyvals...)...)
}
