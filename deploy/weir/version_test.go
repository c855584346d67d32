package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// TestBuildInfo checks that every kind of server process serves weir_build_info
// with the version that `weir version` prints.
func TestBuildInfo(t *testing.T) {
	var printed bytes.Buffer
	if err := runVersion(t.Context(), &process{stdout: &printed}, nil); err != nil {
		t.Fatal(err)
	}
	name := strings.Fields(printed.String())[1]
	want := fmt.Sprintf("\nweir_build_info{goversion=%q,revision=%q,version=%q} 1\n", runtime.Version(), revision(), name)
	for _, r := range []roles{{ingest: true}, {processor: true}, {query: true}, {ingest: true, processor: true, query: true}} {
		p := &process{stdout: io.Discard, stderr: io.Discard}
		a := p.newApp(Config{}, r)
		w := httptest.NewRecorder()
		adminMux(a.metrics, nil, a.log).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%+v: /metrics has no line%sin:\n%s", r, want, w.Body)
		}
	}
}
