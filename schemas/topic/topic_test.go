package topic

import (
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestShardMatchesDefaultPartitioner compares Shard with the default partitioner of
// franz-go, which matches that of Kafka's Java client.
func TestShardMatchesDefaultPartitioner(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic(Name)
	for range 10_000 {
		product, client, shards := rnd.Int64(), rnd.Int64(), 1+rnd.IntN(64)
		record := &kgo.Record{Key: Key(nil, product, client)}
		if got, want := Shard(product, client, shards), int32(theirs.Partition(record, shards)); got != want {
			t.Fatalf("Shard(%d, %d, %d) = %d, Kafka's is %d", product, client, shards, got, want)
		}
	}
}

// TestShardNeverChanges pins the hash: an update of a library must not move clients to
// another shard.
func TestShardNeverChanges(t *testing.T) {
	check := func(product, client int64, want int32) {
		t.Helper()
		if got := Shard(product, client, 16); got != want {
			t.Errorf("Shard(%d, %d, 16) = %d, want %d", product, client, got, want)
		}
	}
	check(1001, 10000091198, 1)
	check(1001, 10000091199, 9)
	check(1002, 10000091198, 3)
	check(1, 1, 10)
	check(1<<62, 1<<62, 12)
}

func TestShardSpreadsClients(t *testing.T) {
	const shards, clients = 8, 80_000
	var counts [shards]int
	for client := range int64(clients) {
		counts[Shard(1001, client+1, shards)]++
	}
	for shard, n := range counts {
		if n < clients/shards*9/10 || n > clients/shards*11/10 {
			t.Errorf("shard %d has %d of %d clients", shard, n, clients)
		}
	}
}
