package query

import (
	"net/http"
	"slices"
	"strings"

	"weir/query/export"
	"weir/schemas/registry"
)

// doing is one method of a path.
type doing struct {
	method, name string
	answer       func(http.ResponseWriter, *http.Request) error
}

// managementRoutes mounts the part of contract 4 that reads and changes what a
// product's owner decides: license keys, how events are collected, and the
// properties there are.
func (s *Service) managementRoutes(mux *http.ServeMux) {
	at := func(path string, ways ...doing) {
		mux.Handle(path, s.crossOrigin(methodsOf(ways), s.oneOf(ways...)))
	}
	at("/v3/license-key-registry/{product_id}", doing{http.MethodPost, "license_keys", s.managed(s.licenseKeys)})
	at("/v3/license-key-registry/update/{product_id}",
		doing{http.MethodPost, "license_keys_insert", s.managed(s.updateLicenseKeys)},
		doing{http.MethodPatch, "license_keys_update", s.managed(s.updateLicenseKeys)})
	at("/v3/event-tracking/{product_id}",
		doing{http.MethodGet, "event_tracking", s.managed(s.eventTracking)},
		doing{http.MethodPatch, "event_tracking_update", s.managed(s.updateEventTracking)})
	at("/v3/meta/productProperties", doing{http.MethodGet, "product_properties", s.anyProperties})
	at("/v3/meta/productProperties/{product_id}", doing{http.MethodGet, "product_properties", s.managed(s.productProperties)})
	at("/v3/meta/propertyValues/{product_id}", doing{http.MethodPost, "property_values", s.managed(s.propertyValues)})
}

// keepAnyOf answers by method; one that no way has is answered with those there
// are.
func (s *Service) oneOf(ways ...doing) http.Handler {
	byMethod := map[string]http.Handler{}
	of := func(way doing) http.Handler {
		return s.route(endpoint{
			name: way.name, method: way.method, answer: sameOrigin(s.cfg.Origins, way.answer), spell: spellReportingError,
		})
	}
	for _, way := range ways {
		byMethod[way.method] = of(way)
	}
	none := of(doing{methodsOf(ways), ways[0].name, ways[0].answer})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := byMethod[r.Method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		none.ServeHTTP(w, r)
	})
}

// methodsOf lists the methods of ways as headers have them.
func methodsOf(ways []doing) string {
	var methods []string
	for _, way := range ways {
		methods = append(methods, way.method)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// productQuestion is a question about one product, from somebody who may ask
// it.
type productQuestion struct {
	product registry.Product
	want    watermark // sent back by who has seen it; the answer includes at least that
}

// managed lets through who has a session and may see the product of the path.
func (s *Service) managed(answer func(http.ResponseWriter, *http.Request, productQuestion) error) func(http.ResponseWriter, *http.Request) error {
	return s.ofProduct(export.Kind{}, func(w http.ResponseWriter, r *http.Request, q exportQuestion) error {
		return answer(w, r, productQuestion{product: q.product, want: q.want})
	})
}

// envelope is what an answer stands in.
type envelope[T any] struct {
	Status string `json:"status"`
	Result T      `json:"result"`
}

func enveloped[T any](v T) envelope[T] { return envelope[T]{"OK", v} }
