package embedded

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"weir/deploy/conns"
	"weir/schemas/topic"
)

// openBroker starts a broker on dir for one test.
func openBroker(t *testing.T, dir string) *broker {
	t.Helper()
	b, err := startBroker(dir, Config{Dir: t.TempDir(), Conns: conns.New(conns.Config{}, nil, nil), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client logs in as Weir does.
func client(t *testing.T, addr string, login Login) (*kgo.Client, *kadm.Client) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.SASL(scram.Auth{User: login.User, Pass: login.Password}.AsSha256Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kadm.NewClient(c)
}

func produce(t *testing.T, c *kgo.Client, name string, values ...[]byte) {
	t.Helper()
	for _, v := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: name, Value: v}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBrokerKeepsItsLogOverARestart(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, dir)
	c, admin := client(t, b.addr, b.login)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, topic.Name); err != nil {
		t.Fatal(err)
	}
	produce(t, c, topic.Name, []byte("one"), []byte("two"))
	before, err := admin.ListTopics(t.Context(), topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	b.close()

	b = openBroker(t, dir)
	defer b.close()
	_, admin = client(t, b.addr, b.login)
	after, err := admin.ListTopics(t.Context(), topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(t.Context(), topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup(topic.Name, 0); end.Offset != 2 || before[topic.Name].ID != after[topic.Name].ID {
		t.Errorf("after a restart: end %d, topic %v; want 2, %v", end.Offset, after[topic.Name].ID, before[topic.Name].ID)
	}
}

func TestBrokerDoesNotCreateTopics(t *testing.T) {
	c, _ := client(t, parts.Kafka, parts.Login)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "never-made", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a record for a topic that does not exist was accepted")
	}
}
