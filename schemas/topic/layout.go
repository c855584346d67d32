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

// DefaultShards is how many shards a topic is made with when nobody says.
const DefaultShards = 4

// Layout is what was fixed when the topic was made. Offsets in the lake and the
// place of every client rest on it.
type Layout struct {
	Topic   string `json:"topic"`
	Shards  int    `json:"shards"`
	Hash    string `json:"hash"`
	TopicID string `json:"topic_id"` // of the log itself: a topic made anew has another
}

// LayoutStore remembers the layout outside Kafka. The first writer wins.
type LayoutStore interface {
	TopicLayout(ctx context.Context) (string, error) // "" when none is recorded
	PutTopicLayout(ctx context.Context, layout string) (stands string, err error)
}

// Options say how the topic is made. The zero value is for one broker.
type Options struct {
	Shards      int   // 0 means what is recorded, or DefaultShards
	Replication int16 // 0 means 1; 3 on a real cluster
	MinISR      int   // 0 means 1; 2 on a real cluster
}

// ErrLayout says that the topic, its record and the configuration disagree.
// Nothing but an operator can tell which of them is right.
var ErrLayout = errors.New("topic layout mismatch")

// Ensure makes the topic if there is none, records its layout, and holds topic
// and configuration against the record at every later start. A topic that was
// made but not recorded (a crash between the two) is recorded as it is.
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

// recordLayout writes the layout down and returns what stands: another process may
// have been first.
func recordLayout(ctx context.Context, store LayoutStore, l Layout) (Layout, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return Layout{}, fmt.Errorf("encode topic layout: %w", err)
	}
	stands, err := store.PutTopicLayout(ctx, string(text))
	if err != nil {
		return Layout{}, fmt.Errorf("record topic layout: %w", err)
	}
	return parseLayout(stands)
}

// describe is the topic as the brokers have it this moment: the client's own
// memory of topics is seconds old.
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

// create makes the topic. Retention is switched off: only what every table has
// committed may ever leave the log, and that is not for a clock to decide.
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

// waitForTopic waits for the brokers to tell one another of a new topic.
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

func verifyLayout(recorded, found Layout, opts Options) error {
	switch {
	case recorded.Hash != HashName:
		return fmt.Errorf("%w: recorded hash is %s, this version knows %s", ErrLayout, recorded.Hash, HashName)
	case recorded.TopicID != found.TopicID:
		return fmt.Errorf("%w: topic %s has id %s, recorded is %s: it is another log", ErrLayout, Name, found.TopicID, recorded.TopicID)
	case recorded.Shards != found.Shards:
		return fmt.Errorf("%w: topic %s has %d partitions, recorded are %d shards", ErrLayout, Name, found.Shards, recorded.Shards)
	case opts.Shards != 0 && opts.Shards != recorded.Shards:
		return fmt.Errorf("%w: %d shards are configured, the topic was made with %d", ErrLayout, opts.Shards, recorded.Shards)
	}
	return nil
}
