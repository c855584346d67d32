package tail

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/schemas/columns"
)

// FuzzReadResponse parses arbitrary bytes as a response: the result must be an error or
// parts of the requested shards, and memory must stay proportional to the input.
func FuzzReadResponse(f *testing.F) {
	req := Request{From: map[int32]int64{0: 100, 1: 100}, Columns: wantedColumns()}
	whole := responseTo(f, randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 2, 5), req)
	f.Add(whole)
	req.Changes = true
	f.Add(responseTo(f, changesOwner{randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 2, 5)}, req))
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(magic + "\xfe\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &Client{cfg: Config{}.withDefaults()}
		parts, err := c.read(bytes.NewReader(withChecksums(body)), req)
		if err == nil && len(parts) != 2 {
			t.Errorf("%d parts for two shards", len(parts))
		}
		for i := range parts {
			_ = changesIn(t, parts[i].Changes)
		}
		release(parts)
	})
}

// withChecksums writes valid checksums into frames, so that the fuzzer reaches the code
// behind the check.
func withChecksums(body []byte) []byte {
	body = bytes.Clone(body)
	for rest := body[min(len(magic), len(body)):]; len(rest) >= frameHeaderLen; {
		n := int64(binary.LittleEndian.Uint32(rest[4:]))
		if n > int64(len(rest)-frameHeaderLen) {
			break
		}
		content := rest[frameHeaderLen : frameHeaderLen+n]
		binary.LittleEndian.PutUint32(rest[8:], checksum(content))
		rest = rest[frameHeaderLen+n:]
	}
	return body
}

// FuzzRequest parses arbitrary bytes as a request; a valid request must survive
// encoding and decoding.
func FuzzRequest(f *testing.F) {
	shard := int32(1)
	for _, req := range []Request{
		{},
		{From: map[int32]int64{0: 5}, Columns: []string{"time"}},
		{From: map[int32]int64{0: 5}, Changes: true},
		{From: map[int32]int64{0: 5}, Rows: map[int32][]int64{0: {1, 2}}, Filter: columns.Filter{Products: []int64{}, Shard: &shard}},
	} {
		body, err := encodeRequest(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := decodeRequest(bytes.NewReader(body))
		if err != nil {
			return
		}
		again, err := encodeRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRequest(bytes.NewReader(again))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(req, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-first +again):\n%s", again, diff)
		}
		if (req.Filter.Products == nil) != (got.Filter.Products == nil) || (req.Rows == nil) != (got.Rows == nil) {
			t.Errorf("%s: nil and empty are confused", again)
		}
	})
}
