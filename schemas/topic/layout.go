package topic

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DefaultShards is the number of shards of a new topic if none is configured.
const DefaultShards = 4

// Layout holds the properties that were fixed when the topic was created. The
// offsets in the lake and the shard of every client depend on them.
type Layout struct {
	Topic   string `json:"topic"`
	Shards  int    `json:"shards"`
	Hash    string `json:"hash"`
	TopicID string `json:"topic_id"` // identifies the log: a topic that is created again has another
}

// LayoutStore stores the layout outside Kafka. The first writer wins.
type LayoutStore interface {
	TopicLayout(ctx context.Context) (string, error) // "" when none is recorded
	PutTopicLayout(ctx context.Context, layout string) (recorded string, err error)
}

// Options configure the creation of the topic. The zero value suits one broker.
type Options struct {
	Shards      int   // 0 means the recorded number, or DefaultShards
	Replication int16 // 0 means 1; 3 on a real cluster
	MinISR      int   // 0 means 1; 2 on a real cluster
}

// ErrLayout means that the topic, its recorded layout and the configuration
// disagree. Only an operator can decide which of them is right.
var ErrLayout = errors.New("topic layout mismatch")

// Ensure creates the topic if it does not exist, records its layout, and at every
// later start compares topic and configuration with the record. A topic that was
// created but not recorded, because of a crash in between, is recorded as it is.
func Ensure(ctx context.Context, cl *kgo.Client, store LayoutStore, opts Options) (Layout, error) {
	recorded, err := loadRecorded(ctx, store)
	if err != nil {
		return Layout{}, err
	}
	found, err := describe(ctx, cl)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		if recorded != (Layout{}) {
			return Layout{}, fmt.Errorf("%w: the topic %s (id %s) is gone from the brokers, its offsets are still in use",
				ErrLayout, Name, recorded.TopicID)
		}
		found, err = create(ctx, cl, opts)
	}
	if err != nil {
		return Layout{}, err
	}
	if recorded == (Layout{}) {
		if recorded, err = recordLayout(ctx, store, found); err != nil {
			return Layout{}, err
		}
	}
	return recorded, verifyLayout(recorded, found, opts)
}

// Recorded returns the layout that was recorded when the topic was made; the zero Layout
// if there is none.
func Recorded(ctx context.Context, store LayoutStore) (Layout, error) {
	return loadRecorded(ctx, store)
}

// loadRecorded returns the recorded layout; the zero Layout if there is none.
func loadRecorded(ctx context.Context, store LayoutStore) (Layout, error) {
	text, err := store.TopicLayout(ctx)
	if err != nil {
		return Layout{}, fmt.Errorf("read topic layout: %w", err)
	}
	if text == "" {
		return Layout{}, nil
	}
	return parseLayout(text)
}

func parseLayout(text string) (Layout, error) {
	var l Layout
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return Layout{}, fmt.Errorf("read topic layout %q: %w", text, err)
	}
	return l, nil
}

// recordLayout stores the layout and returns the recorded one: another process may
// have been first.
func recordLayout(ctx context.Context, store LayoutStore, l Layout) (Layout, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return Layout{}, fmt.Errorf("encode topic layout: %w", err)
	}
	recorded, err := store.PutTopicLayout(ctx, string(text))
	if err != nil {
		return Layout{}, fmt.Errorf("record topic layout: %w", err)
	}
	return parseLayout(recorded)
}

// describe asks the brokers for the topic, because the client's own metadata may be
// seconds old.
func describe(ctx context.Context, cl *kgo.Client) (Layout, error) {
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = new(Name)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, wanted)
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return Layout{}, fmt.Errorf("describe topic %s: %w", Name, err)
	}
	for _, t := range answer.Topics {
		if t.Topic == nil || *t.Topic != Name {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return Layout{}, fmt.Errorf("describe topic %s: %w", Name, err)
		}
		return Layout{Topic: Name, Shards: len(t.Partitions), Hash: HashName, TopicID: kadm.TopicID(t.TopicID).String()}, nil
	}
	return Layout{}, fmt.Errorf("describe topic %s: %w", Name, kerr.UnknownTopicOrPartition)
}

// create creates the topic without retention by time or size: a record may be deleted
// only after every table has committed it (schemas/DESIGN.md "The log may lie"),
// and Kafka cannot know that. Without unclean elections a broker that lags behind
// never becomes the leader, which would drop acknowledged records.
func create(ctx context.Context, cl *kgo.Client, opts Options) (Layout, error) {
	text := func(s string) *string { return &s }
	configs := map[string]*string{
		"cleanup.policy":                 text("delete"),
		"retention.ms":                   text("-1"),
		"retention.bytes":                text("-1"),
		"message.timestamp.type":         text("CreateTime"),
		"min.insync.replicas":            text(strconv.Itoa(cmp.Or(opts.MinISR, 1))),
		"unclean.leader.election.enable": text("false"),
	}
	shards := cmp.Or(opts.Shards, DefaultShards)
	_, err := kadm.NewClient(cl).CreateTopic(ctx, int32(shards), cmp.Or(opts.Replication, 1), configs, Name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return Layout{}, fmt.Errorf("create topic %s with %d shards: %w", Name, shards, err)
	}
	return waitForTopic(ctx, cl)
}

// waitForTopic waits until all brokers know a new topic, at most 5 s.
func waitForTopic(ctx context.Context, cl *kgo.Client) (Layout, error) {
	for tries := 0; ; tries++ {
		found, err := describe(ctx, cl)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) || tries == 50 {
			return found, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return Layout{}, context.Cause(ctx)
		}
	}
}

// verifyLayout compares what the hash, the log and the number of shards were when the
// topic was recorded with what they are now. After a change of any of them clients
// would move to other shards, or offsets in the lake would refer to other records.
func verifyLayout(recorded, found Layout, opts Options) error {
	switch {
	case recorded.Hash != HashName:
		return fmt.Errorf("%w: recorded hash is %s, this version uses %s", ErrLayout, recorded.Hash, HashName)
	case recorded.TopicID != found.TopicID:
		return fmt.Errorf("%w: topic %s has id %s, recorded is %s: it is another log", ErrLayout, Name, found.TopicID, recorded.TopicID)
	case recorded.Shards != found.Shards:
		return fmt.Errorf("%w: topic %s has %d partitions, recorded are %d shards", ErrLayout, Name, found.Shards, recorded.Shards)
	case opts.Shards != 0 && opts.Shards != recorded.Shards:
		return fmt.Errorf("%w: %d shards are configured, the topic was made with %d", ErrLayout, opts.Shards, recorded.Shards)
	}
	return nil
}
