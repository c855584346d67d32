package main

import (
	"context"
	"fmt"

	"weir/schemas/lake"
	"weir/schemas/registry"
)

const helpAcceptHoles = `usage: weir admin accept-holes --shard N --count N [--data DIR] [--SETTING VALUE]...

Accepts that records are missing between others in the log of a shard. Weir never
deletes such records, so find out first who does: weir check prints how many are
missing and fails until as many are accepted. It fails again if more go missing.
--count is all that are missing in the shard now, with those accepted before.
`

// runAcceptHoles records that the holes of a shard are known.
func runAcceptHoles(ctx context.Context, p *process, args []string) error {
	var opts struct {
		Shard int `key:"shard" default:"-1"`
		Count int `key:"count" default:"-1"`
	}
	cfg, err := p.loadFlags(args, &opts)
	if err != nil {
		return err
	}
	if opts.Shard < 0 || opts.Count < 0 {
		return usagef("accept-holes needs --shard and --count, as weir check prints them")
	}
	cfg.Log.Level = "warn"
	return withLake(ctx, cfg, p.logger(cfg.Log), func(_ Config, reg *registry.Registry, store storage) error {
		events, err := store.lake.Load(ctx, lake.Events)
		if err != nil {
			return err
		}
		shard, count := int32(opts.Shard), int64(opts.Count)
		holes := events.ShardStates()[shard].Counters.Holes
		if count > holes {
			return fmt.Errorf("shard %d has %d missing records, not %d: what is not missing yet cannot be accepted", shard, holes, count)
		}
		if err := registry.AcceptHoles(ctx, reg, shard, count); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "accepted %d of %d missing records of shard %d\n", count, holes, shard)
		return err
	})
}
