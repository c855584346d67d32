package topic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// CheckRetention asks the brokers what they delete from the topic by themselves. A
// topic that is compacted is an error that wraps ErrLayout: it loses records from the
// middle, and nothing tells such holes from records that never were. What deletes
// records by time or size is returned as warnings that name the setting, since it does
// harm only while the lake is behind. So is a topic whose settings may not be read.
func CheckRetention(ctx context.Context, cl *kgo.Client) (warnings []string, err error) {
	found, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, Name)
	var settings kadm.ResourceConfig
	if err == nil {
		settings, err = found.On(Name, nil)
	}
	if err := errors.Join(err, settings.Err); err != nil {
		return []string{fmt.Sprintf("cannot read the settings of the topic %s: check that its cleanup.policy is delete and "+
			"that retention.ms and retention.bytes are -1: %v", Name, err)}, context.Cause(ctx)
	}
	return judgeRetention(settings.Configs)
}

// judgeRetention looks at the settings that delete records.
func judgeRetention(configs []kadm.Config) (warnings []string, err error) {
	for _, c := range configs {
		value := c.MaybeValue()
		switch c.Key {
		case "cleanup.policy":
			if slices.Contains(strings.Split(strings.ReplaceAll(value, " ", ""), ","), "compact") {
				return nil, fmt.Errorf("%w: topic %s has cleanup.policy=%s, which deletes records from its middle: set cleanup.policy=delete",
					ErrLayout, Name, value)
			}
		case "retention.ms", "retention.bytes":
			if value != "" && !strings.HasPrefix(value, "-") {
				warnings = append(warnings, fmt.Sprintf("topic %s has %s=%s: records are deleted although the lake may not have them yet; set %s=-1 "+
					"and delete with weir admin trim", Name, c.Key, value, c.Key))
			}
		}
	}
	return warnings, nil
}
