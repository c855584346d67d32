package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"weir/schemas"
)

const acceptEncoding = "gzip, zstd, identity"

// initialBodySize is the first buffer size for a body of unknown length.
const initialBodySize = 64 << 10

var errBodyMemory = errors.New("bodies of all requests use ingest.max_held_bytes of memory")

// readBody reads the body of r into d.body, decompressed. It returns a
// RequestError when the body is longer than MaxBodyBytes, before or after
// decompression, or does not arrive within ReadTimeout.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request, d *decoder) error {
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	if r.ContentLength > schemas.MaxBodyBytes {
		return errBodyTooLarge()
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(s.now().Add(s.cfg.ReadTimeout)) // fails only in tests, where there is no connection
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()

	// The limit on raw bytes holds too: a compressed body may be longer than what it decompresses to.
	raw := http.MaxBytesReader(w, r.Body, schemas.MaxBodyBytes)
	body, done, err := s.decompress(raw, r.Header.Get("Content-Encoding"))
	if err != nil {
		return bodyError(err)
	}
	defer done()
	err = s.readAll(body, d, r.ContentLength)
	if errors.Is(err, errBodyMemory) {
		return s.unavailable(r.Context(), err)
	}
	s.metrics.bytes.Add(float64(len(d.body)))
	return bodyError(err)
}

// readAll reads to the end, or one byte past the limit: a decompression bomb is
// cut off there and never expanded.
func (s *Service) readAll(body io.Reader, d *decoder, length int64) error {
	d.body = d.body[:0]
	if length < 0 {
		length = initialBodySize
	}
	if err := s.grow(d, int(length)+bytes.MinRead); err != nil {
		return err
	}
	for {
		if len(d.body) == cap(d.body) {
			if err := s.grow(d, 2*cap(d.body)); err != nil {
				return err
			}
		}
		n, err := body.Read(d.body[len(d.body):cap(d.body)])
		d.body = d.body[:len(d.body)+n]
		if len(d.body) > schemas.MaxBodyBytes {
			return errBodyTooLarge()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow makes room for n bytes in the body and adds the new capacity to
// heldBytes, until releaseDecoder subtracts it. The memory is counted before it
// is allocated, so that requests at the limit fail and do not overshoot it.
func (s *Service) grow(d *decoder, n int) error {
	n = max(n, cap(d.body))
	if s.heldBytes.Add(int64(n-d.heldBytes)) > s.cfg.MaxHeldBytes {
		s.heldBytes.Add(int64(d.heldBytes - n))
		return errBodyMemory
	}
	d.heldBytes = n
	if n > cap(d.body) {
		d.body = append(make([]byte, 0, n), d.body...)
	}
	return nil
}

// decompress wraps raw in the decompressor of its Content-Encoding. done returns
// the decompressor to its pool.
func (s *Service) decompress(raw io.Reader, encoding string) (body io.Reader, done func(), err error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return raw, func() {}, nil
	case "gzip", "x-gzip":
		return pooledDecompressor(&s.gzips, raw, func() (*gzip.Reader, error) { return new(gzip.Reader), nil })
	case "zstd":
		return pooledDecompressor(&s.zstds, raw, func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxMemory(2*schemas.MaxBodyBytes), zstd.WithDecoderMaxWindow(2*schemas.MaxBodyBytes))
		})
	default:
		return nil, nil, &schemas.RequestError{
			Status: http.StatusUnsupportedMediaType, Code: codeMediaType,
			Detail: fmt.Sprintf("Content-Encoding %q is not known; use gzip or zstd", encoding),
		}
	}
}

// decompressor is implemented by gzip.Reader and zstd.Decoder.
type decompressor interface {
	io.Reader
	Reset(io.Reader) error
}

func pooledDecompressor[D decompressor](pool *sync.Pool, raw io.Reader, fresh func() (D, error)) (io.Reader, func(), error) {
	d, ok := pool.Get().(D)
	if !ok {
		var err error
		if d, err = fresh(); err != nil {
			return nil, nil, err
		}
	}
	if err := d.Reset(raw); err != nil {
		return nil, nil, err
	}
	return d, func() {
		_ = d.Reset(bytes.NewReader(nil)) // drops the reference to raw; gzip reports a missing header, which does not matter
		pool.Put(d)
	}, nil
}

func checkContentType(value string) error {
	if value == "" || value == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil || media != "application/json" {
		return &schemas.RequestError{
			Status: http.StatusUnsupportedMediaType, Code: codeMediaType,
			Detail: fmt.Sprintf("Content-Type %q is not application/json", value),
		}
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return &schemas.RequestError{
			Status: http.StatusUnsupportedMediaType, Code: codeMediaType,
			Detail: fmt.Sprintf("charset %q is not utf-8", charset),
		}
	}
	return nil
}

func errBodyTooLarge() error {
	return &schemas.RequestError{
		Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge,
		Detail: fmt.Sprintf("the body is longer than %d bytes, before or after decompression", schemas.MaxBodyBytes),
	}
}

// bodyError turns a failure to read the body into the answer for the client.
func bodyError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*schemas.RequestError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, zstd.ErrWindowSizeExceeded) ||
		errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return errBodyTooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &schemas.RequestError{Status: http.StatusRequestTimeout, Code: codeTimeout, Detail: "the body did not arrive in time"}
	}
	return &schemas.RequestError{
		Status: http.StatusBadRequest, Code: codeBadRequest,
		Detail: "the body cannot be read: " + err.Error(),
	}
}
