package ingest

import (
	"context"
	"net/http"

	"weir/schemas"
	"weir/schemas/registry"
)

// Paths of the Ingestion API, and one of our own.
const (
	pathReport   = "/v1/event/report"
	pathRegister = "/v1/user/register"
	pathProperty = "/v1/user/property"
	pathContact  = "/v1/user/contact"

	pathIdentities = "/weir/v1/identities"
)

// endpoint is one path of the API.
type endpoint struct {
	name   string                                                         // label value in metrics and log
	handle func(s *Service, ctx context.Context, in request) (any, error) // returns the body of the answer; nil is the plain success
}

// request is an admitted request whose body has been read into the decoder.
type request struct {
	source  registry.Source
	limiter *keyLimiter
	*decoder
}

func findEndpoint(path string) (endpoint, bool) {
	switch path {
	case pathReport:
		return endpoint{"report", (*Service).report}, true
	case pathRegister:
		return endpoint{"register", (*Service).register}, true
	case pathProperty:
		return endpoint{"property", (*Service).property}, true
	case pathContact:
		return endpoint{"contact", (*Service).contact}, true
	case pathIdentities:
		return endpoint{"identities", func(s *Service, ctx context.Context, in request) (any, error) { return linkIdentities(ctx, s, in) }}, true
	}
	return endpoint{name: "other"}, false
}

// serve handles one request. The order of its steps is the order of their cost:
// a request is refused before its body is read where that is possible, and the
// success is written only after the endpoint's handler has returned.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, e endpoint) error {
	source, err := s.authenticate(r)
	if err != nil {
		return err
	}
	limiter, err := s.admit(r.Context(), source)
	if err != nil {
		return err
	}
	defer limiter.release()

	d := s.newDecoder(source.Product)
	defer s.releaseDecoder(d)
	if d.geoDB, err = geoDBFor(r, d.geoDB); err != nil {
		return err
	}
	if err := s.readBody(w, r, d); err != nil {
		return err
	}
	answer, err := e.handle(s, r.Context(), request{source, limiter, d})
	if err != nil {
		return err
	}
	return writeSuccess(w, answer)
}

// newDecoder returns a pooled decoder that is ready for a body.
func (s *Service) newDecoder(product int64) *decoder {
	d, ok := s.decoders.Get().(*decoder)
	if !ok {
		d = new(decoder)
	}
	d.geoDB = s.geoDB
	d.reset(product, s.now().UnixMilli()+schemas.MaxFutureMS)
	return d
}

// releaseDecoder returns a decoder to the pool. The decoded events alias its
// buffers and must not be used afterwards.
func (s *Service) releaseDecoder(d *decoder) {
	s.heldBytes.Add(-int64(d.heldBytes))
	if cap(d.body) > maxPooledBody {
		d.body = nil
	}
	s.decoders.Put(d)
}

// maxPooledBody is the largest body buffer that stays in the pool. The pool is
// not counted in heldBytes, so larger buffers are left to the collector.
const maxPooledBody = 1 << 20
