package topic

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// memory is a LayoutStore in memory.
type memory struct{ recorded string }

func (m *memory) TopicLayout(context.Context) (string, error) { return m.recorded, nil }

func (m *memory) PutTopicLayout(_ context.Context, layout string) (string, error) {
	if m.recorded == "" {
		m.recorded = layout
	}
	return m.recorded, nil
}

// broker starts a Kafka of one node and returns a client of it.
func broker(t *testing.T) *kgo.Client {
	t.Helper()
	network := new(kfake.VirtualNetwork)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(network.Listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(network.DialContext))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func TestEnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cl, store := t.Context(), broker(t), new(memory)
		made, err := Ensure(ctx, cl, store, Options{Shards: 6})
		if err != nil {
			t.Fatal(err)
		}
		if made.Shards != 6 || made.Hash != HashName || made.TopicID == "" {
			t.Errorf("made %+v", made)
		}
		for _, shards := range []int{0, 6} {
			again, err := Ensure(ctx, cl, store, Options{Shards: shards})
			if err != nil || again != made {
				t.Errorf("started again with %d shards: %+v, %v; want %+v", shards, again, err, made)
			}
		}
		found, err := Ensure(ctx, cl, new(memory), Options{})
		if err != nil || found != made {
			t.Errorf("made but not recorded: %+v, %v; want %+v", found, err, made)
		}
	})
}

func TestEnsureRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cl, store := t.Context(), broker(t), new(memory)
		if _, err := Ensure(ctx, cl, store, Options{Shards: 4}); err != nil {
			t.Fatal(err)
		}
		refused := func(name, want string, store LayoutStore, opts Options) {
			t.Helper()
			if _, err := Ensure(ctx, cl, store, opts); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		changed := func(old, replacement string) *memory {
			return &memory{strings.Replace(store.recorded, old, replacement, 1)}
		}
		refused("other number configured", "8 shards are configured", store, Options{Shards: 8})
		refused("other number recorded", "has 4 partitions", changed(`"shards":4`, `"shards":5`), Options{})
		refused("other hash", "recorded hash is fnv", changed(HashName, "fnv"), Options{})

		adm := kadm.NewClient(cl)
		if _, err := adm.CreatePartitions(ctx, 2, Name); err != nil {
			t.Fatal(err)
		}
		refused("partitions added", "has 6 partitions", store, Options{})
		if _, err := adm.DeleteTopic(ctx, Name); err != nil {
			t.Fatal(err)
		}
		refused("topic gone", "is gone from the brokers", store, Options{})
		if _, err := adm.CreateTopic(ctx, 4, 1, nil, Name); err != nil {
			t.Fatal(err)
		}
		refused("another log", "it is another log", store, Options{})
	})
}

func TestEnsureTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cl := t.Context(), broker(t)
		first, err := Ensure(ctx, cl, new(memory), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create(ctx, cl, Options{Shards: 9}); err != nil {
			t.Errorf("create of a topic that another process has just made: %v", err)
		}
		if first.Shards != DefaultShards {
			t.Errorf("shards = %d, want %d", first.Shards, DefaultShards)
		}
	})
}

// TestCheckRetention sets what deletes records of the topic, as an operator may.
func TestCheckRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cl := t.Context(), broker(t)
		if _, err := Ensure(ctx, cl, new(memory), Options{}); err != nil {
			t.Fatal(err)
		}
		set := func(key, value string) {
			t.Helper()
			done, err := kadm.NewClient(cl).AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: key, Value: &value}}, Name)
			if err == nil {
				_, err = done.On(Name, func(r *kadm.AlterConfigsResponse) error { return r.Err })
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if warnings, err := CheckRetention(ctx, cl); len(warnings) != 0 || err != nil {
			t.Errorf("a new topic: %v, %v; want nothing", warnings, err)
		}
		set("retention.ms", "604800000")
		set("retention.bytes", "1000")
		warnings, err := CheckRetention(ctx, cl)
		if err != nil || len(warnings) != 2 || !strings.Contains(strings.Join(warnings, " "), "set retention.ms=-1") {
			t.Errorf("finite retention: %v, %v; want a warning for each setting", warnings, err)
		}
		for _, policy := range []string{"compact", "delete,compact"} {
			set("cleanup.policy", policy)
			if _, err := CheckRetention(ctx, cl); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "cleanup.policy=delete") {
				t.Errorf("cleanup.policy=%s: %v, want %v", policy, err, ErrLayout)
			}
		}
	})
}
