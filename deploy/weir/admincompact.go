package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"weir/processor"
	"weir/schemas/registry"
)

const helpCompact = `usage: weir admin compact [--data DIR] [--json] [--SETTING VALUE]...

Merges small data files until each shard has one for each partition of each
table, and rollup rows of one key into one. No answer changes. What cannot be
read is left as it is and named, and the exit code is 1. Safe while a
server runs, on a stopped folder, and on a cluster (--database.url,
--s3.endpoint …).
`

// runCompact merges the small data files of every table once.
func runCompact(ctx context.Context, p *process, args []string) error {
	var opts struct {
		JSON bool `key:"json"`
	}
	cfg, err := p.loadFlags(args, &opts)
	if err != nil {
		return err
	}
	var result processor.CompactResult
	err = withLake(ctx, cfg, p.logger(cfg.Log), func(_ Config, _ *registry.Registry, store storage) (err error) {
		result, err = processor.Compact(ctx, store.lake, processor.CompactOptions{})
		return err
	})
	if err != nil && result.Merged == 0 {
		return err
	}
	return errors.Join(printCompacted(p.stdout, result, opts.JSON), err)
}

// printCompacted prints what was done, which may be a part of it.
func printCompacted(w io.Writer, result processor.CompactResult, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]int64{
			"merged": int64(result.Merged), "made": int64(result.Written), "bytes": result.Bytes, "gone": int64(result.Skipped),
			"unreadable": int64(len(result.Unreadable)),
		})
	}
	_, err := fmt.Fprintf(w, "merged %d data files into %d of %d bytes; left %d groups alone that another process had rewritten\n",
		result.Merged, result.Written, result.Bytes, result.Skipped)
	return err
}
