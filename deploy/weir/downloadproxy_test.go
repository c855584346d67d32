package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDownloadProxyForwardsSignedLinksOnly(t *testing.T) {
	var reached *http.Request
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached = r.Clone(context.Background())
		w.Header().Set("Server", "VERSITYGW")
		_, _ = io.WriteString(w, "zip")
	}))
	defer store.Close()
	proxy, err := newDownloadProxy("weir-exports", store.URL, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, target string) *httptest.ResponseRecorder {
		reached = nil
		r := httptest.NewRequest(method, target, nil)
		r.Host = "weir.example"
		r.Header.Set("Cookie", "RUI-Session-Token=s")
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, r)
		return w
	}

	w := ask("GET", "/weir-exports/1000/a%20b.zip?X-Amz-Signature=abc&X-Amz-Expires=9")
	if w.Code != 200 || w.Body.String() != "zip" || w.Header().Get("Server") != "" {
		t.Errorf("signed link: %d %q, server %q", w.Code, w.Body, w.Header().Get("Server"))
	}
	if reached == nil || reached.Host != "weir.example" || reached.URL.RequestURI() != "/weir-exports/1000/a%20b.zip?X-Amz-Signature=abc&X-Amz-Expires=9" {
		t.Fatalf("the store saw %+v, want host and address as they came", reached)
	}
	if reached.Header.Get("Cookie") != "" || reached.Header.Get("Authorization") != "" {
		t.Errorf("credentials reached the store: %v", reached.Header)
	}
	for target, want := range map[string]int{
		"GET /weir-exports/1000/a.zip":                                  403,
		"GET /weir-exports/?X-Amz-Signature=abc":                        404,
		"GET /weir-exports/../weir-lake/x?X-Amz-Signature=abc":          404,
		"GET /weir-exports/%2e%2e/weir-lake/x?X-Amz-Signature=abc":      404,
		"GET /weir-exports/x/..%2f..%2fweir-lake/x?X-Amz-Signature=abc": 404,
		"GET /weir-lake/x?X-Amz-Signature=abc":                          404,
		"PUT /weir-exports/1000/a.zip?X-Amz-Signature=abc":              405,
		"DELETE /weir-exports/1000/a.zip?X-Amz-Signature=abc":           405,
		"POST /weir-exports/1000/a.zip?X-Amz-Signature=abc&uploads=":    405,
	} {
		method, path, _ := strings.Cut(target, " ")
		if w := ask(method, path); w.Code != want || reached != nil {
			t.Errorf("%s: %d, reached the store: %t; want %d and not reached", target, w.Code, reached != nil, want)
		}
	}
}
