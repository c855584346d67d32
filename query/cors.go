package query

import (
	"net/http"
	"slices"
)

// crossOrigin lets pages of origins read the answers of the Reporting API, and
// answers the preflight request of browsers. It names the origin and never
// answers "*", because a browser would then not send the session cookie.
func crossOrigin(origins []string, methods string, answer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || !slices.Contains(origins, origin) {
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
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", "Content-Type, RUI-Client, RUI-Client-Version, X-Request-Id, Weir-Watermark")
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
