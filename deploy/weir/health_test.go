package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReadyzNamesServicesWithoutDetails(t *testing.T) {
	mux := http.NewServeMux()
	down := errors.New("dial tcp 10.0.0.7:9092: refused")
	addHealth(mux, []probe{
		{"ingest", func(context.Context) error { return down }},
		{"query", func(context.Context) error { return nil }},
		{"processor", func(context.Context) error { return down }},
	}, slog.New(slog.DiscardHandler))
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	if w := get("/readyz"); w.Code != 503 || w.Body.String() != "not ready: ingest, processor\n" {
		t.Errorf("/readyz: %d %q", w.Code, w.Body)
	}
	down = nil
	if w := get("/readyz"); w.Code != 200 {
		t.Errorf("/readyz: %d %q, want 200", w.Code, w.Body)
	}
	if w := get("/healthz"); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
}
