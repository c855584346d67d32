package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/schemas/topic"
)

const (
	// MaxShards is the largest number of partitions that the broker creates. Each
	// costs memory and a folder from then on.
	MaxShards = 1024

	maxTopicFrame = 64 << 10 // bytes of a request that creates topics; it is decoded twice
	headerBytes   = 8        // api key, version, correlation id
)

// servedRequest is a request of the Kafka protocol that Weir itself sends, with the
// versions that are served.
type servedRequest struct{ key, min, max int16 }

// loginRequests are those that a client may send before its login, and only then.
// The guard answers them itself. Version 2 of SASLAuthenticate is left out because
// its decoder counts to any number of tags that a stranger writes down.
func loginRequests() []servedRequest {
	return []servedRequest{
		{int16(kmsg.SASLHandshake), 1, 1},
		{int16(kmsg.ApiVersions), 0, 5},
		{int16(kmsg.SASLAuthenticate), 0, 1},
	}
}

// served lists every request that reaches the broker. The others (delete a topic,
// add partitions, change settings, users, groups, transactions) are refused, also
// after a login: nothing in Weir sends them. TestServedRequestsAreThoseOfTheBroker
// compares the versions with kfake's.
func served() []servedRequest {
	return []servedRequest{
		{int16(kmsg.Produce), 3, 13},
		{int16(kmsg.Fetch), 4, 18},
		{int16(kmsg.ListOffsets), 0, 10},
		{int16(kmsg.Metadata), 0, 13},
		{int16(kmsg.OffsetCommit), 0, 10},
		{int16(kmsg.OffsetFetch), 0, 10},
		{int16(kmsg.FindCoordinator), 0, 6},
		{int16(kmsg.CreateTopics), 0, 7},
		{int16(kmsg.DeleteRecords), 0, 2},
		{int16(kmsg.InitProducerID), 0, 5},
		{int16(kmsg.OffsetForLeaderEpoch), 3, 4},
		{int16(kmsg.DescribeConfigs), 0, 4},
	}
}

// requestSet is a list of requests by key. The guard looks at every request.
type requestSet map[int16]servedRequest

func newRequestSet(list []servedRequest) requestSet {
	set := requestSet{}
	for _, s := range list {
		set[s.key] = s
	}
	return set
}

// check refuses a request that is not in the set.
func (set requestSet) check(key, version int16) error {
	s, ok := set[key]
	if !ok {
		return fmt.Errorf("request with api key %d, which the embedded broker does not serve", key)
	}
	if version < s.min || version > s.max {
		return fmt.Errorf("version %d of api key %d, the embedded broker serves %d to %d", version, key, s.min, s.max)
	}
	return nil
}

// header is the beginning of a request.
type header struct {
	key, version int16
	correlation  int32
}

// parseHeader reads the beginning of a frame, whose length was cut off.
func parseHeader(frame []byte) header {
	r := kbin.Reader{Src: frame}
	return header{r.Int16(), r.Int16(), r.Int32()}
}

// parseRequest decodes the rest of a frame whose key and version are served.
func parseRequest(h header, frame []byte) (kmsg.Request, error) {
	r := kbin.Reader{Src: frame}
	r.Span(headerBytes)
	r.NullableString() // client id
	req := kmsg.RequestForKey(h.key)
	req.SetVersion(h.version)
	if req.IsFlexible() {
		skipTags(&r)
	}
	if !r.Ok() {
		return nil, fmt.Errorf("request with api key %d ends in its header", h.key)
	}
	if h.key == int16(kmsg.ApiVersions) {
		return req, nil // nothing in its body matters
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("decode a request with api key %d: %w", h.key, err)
	}
	return req, nil
}

// skipTags skips the tags of a header. kmsg.SkipTags counts to the number that the
// client writes down, up to 2^32, also when the frame has ended.
func skipTags(r *kbin.Reader) {
	for num := r.Uvarint(); num > 0 && r.Ok(); num-- {
		_, size := r.Uvarint(), r.Uvarint()
		r.Span(int(size))
	}
}

// checkTopics allows the topic of events alone, with MaxShards partitions at most.
func checkTopics(frame []byte) error {
	req, err := parseRequest(parseHeader(frame), frame)
	if err != nil {
		return err
	}
	create, ok := req.(*kmsg.CreateTopicsRequest)
	if !ok || len(create.Topics) != 1 {
		return errors.New("request that does not create one topic")
	}
	t := create.Topics[0]
	if t.Topic != topic.Name || t.NumPartitions > MaxShards || len(t.ReplicaAssignment) > 0 {
		return fmt.Errorf("topic with %d partitions, the embedded broker creates only %s, with up to %d", t.NumPartitions, topic.Name, MaxShards)
	}
	return nil
}

// encodeResponse returns the frame of an answer.
func encodeResponse(h header, resp kmsg.Response) []byte {
	b := kbin.AppendInt32(make([]byte, 4, 512), h.correlation)
	if resp.IsFlexible() && h.key != int16(kmsg.ApiVersions) {
		b = append(b, 0) // no tags
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}
