package query

import (
	"net/http"
	"slices"
)

// cors says whose pages may read the answers of an API.
type cors struct {
	origins []string // "*" is every origin
	cookies bool     // the browser sends cookies along; then origins are named one by one
	headers string   // that a page may set, besides those that every page may
	exposed string   // headers of answers that a page may read
}

// reportingCORS is that of the Reporting API. It is never every origin, because a
// browser would then not send the session cookie.
func reportingCORS(origins []string) cors {
	return cors{
		origins: origins, cookies: true, headers: "Content-Type, RUI-Client, RUI-Client-Version, X-Request-Id, Weir-Watermark",
		exposed: exposedHeaders,
	}
}

// listCORS is that of the User Events API and the Events API. A page must set the
// token itself, so an allowed origin can do no more than any program that has it.
func listCORS(origins []string) cors {
	return cors{
		origins: origins, headers: "Authorization, Content-Type, X-Request-Id, Weir-Watermark",
		exposed: exposedHeaders + ", " + headerError,
	}
}

const exposedHeaders = "X-Request-Id, Retry-After, Weir-Watermark, Weir-As-Of, Weir-Partial"

// allows reports whether pages of origin may read answers.
func (c cors) allows(origin string) bool {
	return origin != "" && (slices.Contains(c.origins, origin) || !c.cookies && slices.Contains(c.origins, "*"))
}

// wrap lets pages of the allowed origins read answers, and answers the preflight
// request of browsers. It names the one origin, so caches must keep answers apart
// by it.
func (c cors) wrap(methods string, answer http.Handler) http.Handler {
	if len(c.origins) == 0 && !c.cookies {
		return answer
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !c.allows(origin) {
			answer.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Origin", origin)
		if c.cookies {
			header.Set("Access-Control-Allow-Credentials", "true")
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			header.Set("Access-Control-Expose-Headers", c.exposed)
			answer.ServeHTTP(w, r)
			return
		}
		header.Set(headerRequestID, requestID(r))
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", c.headers)
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
