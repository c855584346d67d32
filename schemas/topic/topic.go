// Package topic is the Kafka topic `events`: which shard an event belongs to,
// how an event lies in a record, and how the topic is made.
//
// Promises: the shard of a client never changes while the topic lives; bytes of
// every released version decode for ever (schemas/testdata); a topic that is
// not as it was recorded is refused by Ensure. A record that Decode refuses is
// a dead letter, and the error is its reason.
package topic

import "encoding/binary"

// What is fixed when the topic is made.
const (
	Name     = "events"
	HashName = "murmur2" // of the 16-byte key, Kafka's own default hash
	KeyBytes = 16        // product and client, big endian
)

// Key appends the Kafka key of a client's records to dst.
func Key(dst []byte, product, client int64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(product))
	return binary.BigEndian.AppendUint64(dst, uint64(client))
}

// Shard is the partition that holds all records of a client. It is where
// Kafka's default partitioner would put the key, so other producers agree.
func Shard(product, client int64, shards int) int32 {
	var buf [KeyBytes]byte
	key := Key(buf[:0], product, client)
	return int32(murmur2(key)&0x7fffffff) % int32(shards)
}

// murmur2 is Kafka's variant, for keys of a multiple of four bytes.
func murmur2(key []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
	)
	h := uint32(seed) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
