package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"weir/schemas/registry"
	"weir/schemas/topic"
)

// TestStartJudgesTheTopic starts on a topic whose settings an operator has changed: one
// that deletes old records is logged, one that is compacted ends the start.
func TestStartJudgesTheTopic(t *testing.T) {
	network := new(kfake.VirtualNetwork)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(network.Listen))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	reg, err := registry.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "r.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	var log strings.Builder
	var cfg Config
	settings, _ := listSettings(&cfg)
	if err := setDefaults(settings); err != nil {
		t.Fatal(err)
	}
	a := &app{cfg: cfg, registry: reg, dial: network.DialContext, log: slog.New(slog.NewTextHandler(&log, nil))}
	a.cfg.Kafka.Brokers, a.cfg.Topic.Replication, a.cfg.Topic.MinISR = cluster.ListenAddrs(), 1, 1
	if err := a.ensureTopic(t.Context()); err != nil || strings.Contains(log.String(), "topic may lose records") {
		t.Fatalf("start on a new topic: %v, logged %s", err, log.String())
	}

	client, err := a.kafka()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	set := func(key, value string) {
		t.Helper()
		done, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic.Name)
		if err == nil {
			_, err = done.On(topic.Name, func(r *kadm.AlterConfigsResponse) error { return r.Err })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("retention.ms", "604800000")
	if err := a.ensureTopic(t.Context()); err != nil || !strings.Contains(log.String(), "set retention.ms=-1") {
		t.Errorf("start on a topic with finite retention: %v, logged %s; want a warning", err, log.String())
	}
	set("cleanup.policy", "compact")
	if err := a.ensureTopic(t.Context()); !errors.Is(err, topic.ErrLayout) {
		t.Errorf("start on a compacted topic: %v, want %v", err, topic.ErrLayout)
	}
}
