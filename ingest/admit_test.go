package ingest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		full := errors.New("disk has 1 % left")
		e.deps.Full = func() error { return full }
		w := e.report(oneEventPerShard("a"))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "disk") || !strings.Contains(e.log.String(), "disk") {
			t.Errorf("the cause must be in the log (%s) and not in the answer (%s)", e.log, w.Body)
		}
		if err := e.Ready(t.Context()); !errors.Is(err, full) {
			t.Errorf("Ready: %v, want %v", err, full)
		}
		e.deps.Full = func() error { return nil }
		if err := e.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
	})
}

func TestRegistryDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		e.registry.fail(errors.New("connection refused by db.internal"))
		for _, path := range []string{pathReport, pathRegister} {
			w := e.post(path, "key1", oneEventPerShard("a"))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "db.internal") {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		e.registry.fail(nil)
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestAccountsAreSeparate checks that a key writes to its own product only,
// whatever its events contain.
func TestAccountsAreSeparate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		body := `{"product_id":1001,"product":1001,"data":[{"product_id":1001,"euid":5,"event_name":"a","itime":1700000000001,"random_id":"same",` +
			`"properties":{"$product":1001,"product_id":1001}}]}`
		for _, key := range []string{"key1", "key2"} {
			if w := e.post(pathReport, key, body); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", key, w.Code, w.Body)
			}
		}
		var products []int64
		for _, event := range e.storedEvents() {
			products = append(products, event.Product)
		}
		if want := []int64{1001, 2002}; !slices.Equal(products, want) {
			t.Errorf("products %v, want %v", products, want)
		}

		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pathReport, strings.NewReader(body))
		r.SetBasicAuth("key1", "key2-secret")
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("the secret of another account: %d %s", w.Code, w.Body)
		}

		register := `{"identity_name":"user_id","identity_values":["alice"]}`
		mine, theirs := e.post(pathRegister, "key1", register), e.post(pathRegister, "key2", register)
		if mine.Code != http.StatusOK || theirs.Code != http.StatusOK || mine.Body.String() == theirs.Body.String() {
			t.Errorf("the same person in two products: %s, %s", mine.Body, theirs.Body)
		}
	})
}
