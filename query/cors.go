package query

import (
	"net/http"
	"slices"
)

// crossOrigin lets pages of Config.Origins read the answers of contract 4, and
// answers the browser's question whether they may ask at all. An origin is
// named, never "*": with it a browser would not send the session's cookie.
func (s *Service) crossOrigin(method string, answer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || !slices.Contains(s.cfg.Origins, origin) {
			answer.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			header.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Weir-Watermark, Weir-As-Of, Weir-Partial")
			answer.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Methods", method)
		header.Set("Access-Control-Allow-Headers", "Content-Type, RUI-Client, RUI-Client-Version, X-Request-Id, Weir-Watermark")
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
