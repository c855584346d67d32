package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"weir/schemas"
)

const acceptEncoding = "gzip, zstd, identity"

// What a decompressor holds beside the body; bytes (TestDecompressorBytes).
const (
	gzipBytes = 320 << 10
	zstdBytes = 512 << 10
)

// encoding is a Content-Encoding that is taken.
type encoding int

const (
	uncompressed encoding = iota
	gzipped
	zstandard
)

// contentEncoding returns the encoding of a header, or a 415.
func contentEncoding(header string) (encoding, error) {
	switch strings.ToLower(strings.TrimSpace(header)) {
	case "", "identity":
		return uncompressed, nil
	case "gzip", "x-gzip":
		return gzipped, nil
	case "zstd":
		return zstandard, nil
	}
	return 0, &schemas.RequestError{
		Status: http.StatusUnsupportedMediaType, Code: codeMediaType,
		Detail: fmt.Sprintf("Content-Encoding %q is not known; use gzip or zstd", header),
	}
}

// decompressors are the pools of what decompresses bodies. Only requests that have
// their turn use one, so there are few.
type decompressors struct {
	gzips sync.Pool // of *gzip.Reader
	zstds sync.Pool // of *zstd.Decoder
}

// decompress appends what raw decompresses to. It calls large before out grows
// beyond largeBody.
func (d *decompressors) decompress(e encoding, raw []byte, out *buffer, large func() error) error {
	if e == gzipped {
		return d.gunzip(raw, out, large)
	}
	return d.unzstd(raw, out, large)
}

func (d *decompressors) gunzip(raw []byte, out *buffer, large func() error) error {
	if err := out.charge.add(gzipBytes); err != nil {
		return err
	}
	defer out.charge.sub(gzipBytes)
	z, ok := d.gzips.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	if err := z.Reset(bytes.NewReader(raw)); err != nil {
		return err
	}
	defer func() {
		_ = z.Reset(bytes.NewReader(nil)) // drops the reference to raw; it reports a missing header, which does not matter
		d.gzips.Put(z)
	}()
	return out.readAll(z, -1, large)
}

// unzstd decodes into a buffer of a known size and not as a stream, which would
// hold the window of the frame, up to 8 MiB, as a copy of what it has written.
func (d *decompressors) unzstd(raw []byte, out *buffer, large func() error) error {
	if len(raw) == 0 {
		return nil
	}
	if err := out.charge.add(zstdBytes); err != nil {
		return err
	}
	defer out.charge.sub(zstdBytes)
	z, ok := d.zstds.Get().(*zstd.Decoder)
	if !ok {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true),
			zstd.WithDecoderMaxMemory(2*schemas.MaxBodyBytes), zstd.WithDecoderMaxWindow(2*schemas.MaxBodyBytes))
		if err != nil {
			return err
		}
	}
	defer d.zstds.Put(z)
	// A frame may say its size. If it does not, or others follow, it takes more tries.
	size := min(4*len(raw)+firstBytes, schemas.MaxBodyBytes+1)
	var h zstd.Header
	if err := h.Decode(raw); err == nil && h.HasFCS {
		size = int(min(h.FrameContentSize, schemas.MaxBodyBytes+1))
	}
	for {
		if size > largeBody {
			if err := large(); err != nil {
				return err
			}
		}
		if err := out.grow(max(size, 1)); err != nil {
			return err
		}
		got, err := z.DecodeAll(raw, out.bytes[:0])
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) && cap(out.bytes) <= schemas.MaxBodyBytes {
			size = min(4*cap(out.bytes), schemas.MaxBodyBytes+1)
			continue
		}
		if err != nil {
			return err
		}
		if out.bytes = got; len(got) > schemas.MaxBodyBytes {
			return errBodyTooLarge()
		}
		return nil
	}
}
