package ingest

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"weir/schemas"
)

// readBody reads the body of r into in.body as it arrives; compressed, if it is.
// It returns a RequestError when the body is longer than MaxBodyBytes or does not
// arrive within ReadTimeout.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request, in *request) error {
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	var err error
	if in.encoding, err = contentEncoding(r.Header.Get("Content-Encoding")); err != nil {
		return err
	}
	if r.ContentLength > schemas.MaxBodyBytes {
		return errBodyTooLarge()
	}
	if err := in.charge.expect(r.ContentLength); err != nil {
		return err
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(s.now().Add(s.cfg.ReadTimeout)) // fails only in tests, where there is no connection

	// The limit on raw bytes holds too: a compressed body may be longer than what it decompresses to.
	raw := http.MaxBytesReader(w, r.Body, schemas.MaxBodyBytes)
	if err := in.body.readAll(raw, r.ContentLength, func() error { return in.charge.expect(schemas.MaxBodyBytes) }); err != nil {
		return bodyError(err) // the deadline stays: the answer must not wait for the rest of the body
	}
	// The server reads on, to notice a client that hangs up.
	_ = control.SetReadDeadline(time.Time{}) // as above
	return nil
}

// decompressBody puts what the body decompresses to in its place.
func (s *Service) decompressBody(ctx context.Context, in *request) error {
	if in.encoding == uncompressed {
		return nil
	}
	out := buffer{pool: in.body.pool, charge: in.body.charge}
	if err := s.decompressors.decompress(in.encoding, in.body.bytes, &out, func() error { return in.turn.enlarge(ctx) }); err != nil {
		out.free()
		return bodyError(err)
	}
	in.body.free()
	in.body = out
	return nil
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
	switch charset := strings.ToLower(params["charset"]); charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii": // ASCII is UTF-8 too, and JSON that is neither is refused as it is read
	default:
		return &schemas.RequestError{
			Status: http.StatusUnsupportedMediaType, Code: codeMediaType,
			Detail: fmt.Sprintf("charset %q is not utf-8", params["charset"]),
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
