package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// newCodec returns the compression of pages by its configured name. zstd runs
// at its fastest level and without goroutines of its own: a writer is busy with
// one page at a time, and more of them run for other shards.
func newCodec(name string) (compress.Codec, error) {
	switch name {
	case "zstd":
		return &zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1}, nil
	case "snappy":
		return &parquet.Snappy, nil
	case "none":
		return &parquet.Uncompressed, nil
	}
	return nil, fmt.Errorf("compression %q is none of zstd, snappy, none", name)
}
