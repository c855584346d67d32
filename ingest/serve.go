package ingest

import (
	"context"
	"net/http"

	"weir/schemas"
	"weir/schemas/registry"
)

// Addresses of contract 1.
const (
	pathReport   = "/v1/event/report"
	pathRegister = "/v1/user/register"
	pathProperty = "/v1/user/property"
	pathContact  = "/v1/user/contact"
)

// endpoint is one address: what it is called in metrics and log, and what is
// done with the body of a request that was let in.
type endpoint struct {
	name   string
	handle func(s *Service, ctx context.Context, in request) ([]identity, error)
}

// request is a request that was let in.
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
	}
	return endpoint{name: "other"}, false
}

// serve is the way of every request: who sends it, whether it may come in now,
// what it says, and what e makes of it.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, e endpoint) error {
	source, err := s.authenticate(r)
	if err != nil {
		return err
	}
	gate, err := s.admit(r.Context(), source)
	if err != nil {
		return err
	}
	defer gate.release()

	d := s.decoder(source.Product)
	defer s.releaseDecoder(d)
	if err := s.readBody(w, r, d); err != nil {
		return err
	}
	data, err := e.handle(s, r.Context(), request{source, gate, d})
	if err != nil {
		return err
	}
	return writeSuccess(w, data)
}

// decoder is a pooled decoder, ready for a body.
func (s *Service) decoder(product int64) *decoder {
	d, ok := s.decoders.Get().(*decoder)
	if !ok {
		d = new(decoder)
	}
	d.geoDB = s.geoDB
	d.reset(product, s.now().UnixMilli()+schemas.MaxFutureMS)
	return d
}

// releaseDecoder gives a decoder back, and with it all that its events alias.
func (s *Service) releaseDecoder(d *decoder) {
	s.heldBytes.Add(-int64(d.heldBytes))
	if cap(d.body) > maxPooledBody {
		d.body = nil
	}
	s.decoders.Put(d)
}

// maxPooledBody is the largest body that waits in the pool for the next request.
const maxPooledBody = 1 << 20
