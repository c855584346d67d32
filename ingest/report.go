package ingest

import (
	"log/slog"
	"net/http"

	"weir/schemas"
)

// report makes the events of one request durable, or says why it did not. A nil
// error is the promise that every event is in the log.
func (s *Service) report(w http.ResponseWriter, r *http.Request) error {
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
	events, err := d.decode()
	if err != nil {
		return err
	}
	if err := gate.spend(s.now(), source.RatePerSecond, len(events)); err != nil {
		return err
	}
	if err := s.publish(r.Context(), events); err != nil {
		return err
	}
	s.metrics.events.Add(float64(len(events)))
	if s.deps.Log.Enabled(r.Context(), slog.LevelDebug) {
		s.deps.Log.DebugContext(r.Context(), "events accepted", "request_id", requestID(r.Context()), "key", source.Key,
			"product", source.Product, "events", len(events), "body_bytes", len(d.body))
	}
	return answer(w, nil)
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
