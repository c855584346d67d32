// Package topic defines the Kafka topic `events`: the shard of a client, the
// encoding of events and changes as records, and the creation of the topic.
//
// The shard of a client never changes while the topic exists. Records of every
// released version decode permanently (schemas/testdata). Ensure refuses a topic
// that differs from its recorded layout. A record that Decode refuses becomes a
// dead letter, with the error as its reason.
package topic

import "encoding/binary"

// Properties of the topic that can never change.
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

// Shard returns the partition of all records of a client. Kafka's default
// partitioner maps the key to the same one, so other producers agree.
func Shard(product, client int64, shards int) int32 {
	var buf [KeyBytes]byte
	key := Key(buf[:0], product, client)
	return int32(murmur2(key)&0x7fffffff) % int32(shards)
}

// murmur2 is Kafka's variant of the hash, for keys whose length is a multiple of
// four bytes.
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
