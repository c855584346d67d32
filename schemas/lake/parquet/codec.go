package parquet

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	zstdcodec "github.com/parquet-go/parquet-go/compress/zstd"
)

// zstdWindow is how far back a match may lie. A page of maxPageBytes is smaller;
// only a page of one very long string is larger. An encoder holds twice its
// window once it has met a page of more than 128 KiB, at the default 8 MiB each.
const zstdWindow = 256 << 10

// newCodec returns the compression of pages by its configured name.
func newCodec(name string) (compress.Codec, error) {
	switch name {
	case "zstd":
		return newZstd()
	case "snappy":
		return &parquet.Snappy, nil
	case "none":
		return &parquet.Uncompressed, nil
	}
	return nil, fmt.Errorf("compression %q is none of zstd, snappy, none", name)
}

// zstdEncoder compresses pages at zstd's fastest level and without goroutines of
// its own: an Encoder is busy with one page at a time, and more of them run for
// other shards. Any reader of zstd reads the pages; the embedded codec decodes.
type zstdEncoder struct {
	zstdcodec.Codec

	encoder *zstd.Encoder
}

func newZstd() (*zstdEncoder, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(zstdWindow), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	return &zstdEncoder{encoder: e}, nil
}

// Encode returns src compressed, in dst if it has the room.
func (e *zstdEncoder) Encode(dst, src []byte) ([]byte, error) {
	return e.encoder.EncodeAll(src, dst[:0]), nil
}
