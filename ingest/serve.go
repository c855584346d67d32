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
	name   string                                                          // label value in metrics and log
	handle func(s *Service, ctx context.Context, in *request) (any, error) // returns the body of the answer; nil is the plain success
}

// request is an admitted request: its body, and while it has its turn, the
// decoder.
type request struct {
	source   registry.Source
	limiter  *keyLimiter
	encoding encoding // of the body
	body     buffer
	turn     turn
	charge   charge // of the body and what is decoded of it
	*decoder        // nil before the turn and after decoded
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
		return endpoint{"identities", func(s *Service, ctx context.Context, in *request) (any, error) { return linkIdentities(ctx, s, in) }}, true
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
	db, err := geoDBFor(r, s.geoDB)
	if err != nil {
		return err
	}
	in := s.newRequest(source, limiter)
	defer s.decoded(in)
	if err := s.readBody(w, r, in); err != nil {
		return err
	}
	if err := s.startDecoding(r.Context(), in); err != nil {
		return err
	}
	in.geoDB = db
	answer, err := e.handle(s, r.Context(), in)
	if err != nil {
		return err
	}
	return writeSuccess(w, answer)
}

// newRequest returns a request that holds nothing yet.
func (s *Service) newRequest(source registry.Source, limiter *keyLimiter) *request {
	in := &request{source: source, limiter: limiter}
	in.charge = charge{budget: s.memory, source: &limiter.share, account: s.memory.shareOf(source.Account)}
	in.body = buffer{pool: &s.buffers, charge: &in.charge}
	in.turn = turn{budget: s.memory, account: in.charge.account, wait: s.cfg.QueueWait}
	return in
}

// startDecoding waits for the turn of the request, decompresses its body and gives
// it a decoder. A pooled decoder is charged for what it holds already.
func (s *Service) startDecoding(ctx context.Context, in *request) error {
	if err := in.turn.begin(ctx, len(in.body.bytes)); err != nil {
		return err
	}
	in.charge.letIn = true
	if err := s.decompressBody(ctx, in); err != nil {
		return err
	}
	if err := in.turn.chargeDecoder(len(in.body.bytes)); err != nil {
		return err
	}
	s.metrics.bytes.Add(float64(len(in.body.bytes)))
	d, ok := s.decoders.Get().(*decoder)
	if !ok {
		d = new(decoder)
	}
	d.reset(in.source.Product, s.now().UnixMilli()+schemas.MaxFutureMS)
	d.body, d.memory = in.body.bytes, decoderMemory{charge: &in.charge}
	in.decoder = d
	return d.memory.chargeGrowth(d)
}

// decoded ends the turn of a request and frees its body and its decoder; it may be
// called again. The decoded events alias both and must not be used afterwards.
func (s *Service) decoded(in *request) {
	if d := in.decoder; d != nil {
		in.decoder = nil
		shrinkDecoder(d, len(in.body.bytes))
		s.decoders.Put(d)
	}
	in.body.free()
	in.charge.release()
	in.turn.end()
}
