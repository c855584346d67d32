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
	warning := ""
	down := errors.New("dial tcp 10.0.0.7:9092: refused")
	addHealth(mux, []probe{
		{name: "ingest", ready: func(context.Context) error { return down }},
		{name: "query", ready: func(context.Context) error { return nil }},
		{name: "processor", ready: func(context.Context) error { return down }, warn: func() string { return warning }},
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
	for text, want := range map[string]string{"": "ready\n", "9 files wait": "ready\nwarning: processor: 9 files wait\n"} {
		warning = text
		if w := get("/readyz"); w.Code != 200 || w.Body.String() != want {
			t.Errorf("/readyz: %d %q, want 200 %q", w.Code, w.Body, want)
		}
	}
	if w := get("/healthz"); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
}
