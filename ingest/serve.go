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
	name string
	do   func(s *Service, ctx context.Context, in admitted) ([]identity, error)
}

// admitted is a request that was let in.
type admitted struct {
	source registry.Source
	gate   *gate
	*decoder
}

func endpointOf(path string) (endpoint, bool) {
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
	defer gate.leave()

	d := s.decoder(source.Product)
	defer s.release(d)
	if err := s.receive(w, r, d); err != nil {
		return err
	}
	data, err := e.do(s, r.Context(), admitted{source, gate, d})
	if err != nil {
		return err
	}
	return answer(w, data)
}

// decoder is a pooled decoder, ready for a body.
func (s *Service) decoder(product int64) *decoder {
	d, ok := s.decoders.Get().(*decoder)
	if !ok {
		d = new(decoder)
	}
	d.places = s.places
	d.reset(product, s.now().UnixMilli()+schemas.MaxFutureMS)
	return d
}

// release gives a decoder back, and with it all that its events alias.
func (s *Service) release(d *decoder) {
	s.held.Add(-int64(d.held))
	if cap(d.body) > keepBody {
		d.body = nil
	}
	s.decoders.Put(d)
}

// keepBody is the largest body that waits in the pool for the next request.
const keepBody = 1 << 20
