package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir/schemas"
)

// TestInternalErrors: a store that does not answer is 503, an unexpected error is
// 500, each in the form of its API.
func TestInternalErrors(t *testing.T) {
	w := newListWorld(t, Config{})
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	spellings := map[string]func(http.ResponseWriter, *schemas.RequestError){
		"user events": encodeUserEventsError, "events": encodeEventsError, "reporting": encodeReportingError,
	}
	for _, c := range []struct {
		api    string
		err    error
		status int
		body   string
	}{
		{"user events", refused, 503, `{"error":"Service temporarily unavailable"}`},
		{"user events", context.DeadlineExceeded, 503, `{"error":"Service temporarily unavailable"}`},
		{"user events", errors.New("disk on fire"), 500, `{"error":"Internal server error"}`},
		{"events", refused, 503, `{"status":503,"code":"unavailable","message":"Service temporarily unavailable"}`},
		{"events", errors.New("disk on fire"), 500, `{"status":500,"code":"internal","message":"Internal server error"}`},
		{"reporting", refused, 503, `{"status":"SERVER ERROR","reason":"Service temporarily unavailable"}`},
		{"reporting", errors.New("disk on fire"), 500, `{"status":"SERVER ERROR","reason":"Internal server error"}`},
	} {
		rec := httptest.NewRecorder()
		w.router.handle(endpoint{
			name: "fault", method: http.MethodGet, encodeError: spellings[c.api],
			answer: func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("read token: %w", c.err) },
		}).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if rec.Code != c.status || strings.TrimSpace(rec.Body.String()) != c.body {
			t.Errorf("%s, %v: %d %s", c.api, c.err, rec.Code, rec.Body)
		}
		if again := rec.Header().Get("Retry-After") != ""; again != (c.status == 503) {
			t.Errorf("%s, %v: Retry-After %v", c.api, c.err, again)
		}
	}
}

// TestLateBodyIs408 sends half a body to each endpoint over a real connection.
func TestLateBodyIs408(t *testing.T) {
	w := newExportWorld(t, Config{WriteStall: 50 * time.Millisecond})
	s := httptest.NewServer(w.Handler())
	defer s.Close()
	session := "Cookie: " + cookieSession + "=" + w.login(w.userA)
	ann := "Authorization: " + basic("ann@example.org", worldPassword)
	for path, who := range map[string]string{
		"/analytics/api/v1/events":                   ann,
		"/v3/auth/web":                               "Cookie: " + cookieCsrf + "=any",
		"/v3/auth/logout":                            session,
		"/v3/customEventTracking/getLastLines/1001":  session,
		"/v3/rawEvents/download/getDownloadUrl/1001": session,
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: weir\r\n%s\r\nContent-Length: 100\r\n\r\n{\"half", path, who)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
		resp.Body.Close()
		conn.Close()
	}
}

// TestReadDeadlineEndsWithTheBody: the deadline for the body is cleared once the
// body is read.
func TestReadDeadlineEndsWithTheBody(t *testing.T) {
	w := newExportWorld(t, Config{WriteStall: 30 * time.Millisecond})
	for method, body := range map[string]string{http.MethodPost: `{}`, http.MethodGet: ""} {
		s := httptest.NewServer(w.router.handle(endpoint{
			name: "slow", method: method, encodeError: encodeReportingError,
			answer: func(rw http.ResponseWriter, r *http.Request) error {
				if _, err := io.ReadAll(r.Body); err != nil {
					return err
				}
				time.Sleep(100 * time.Millisecond)
				if r.Context().Err() != nil {
					return r.Context().Err()
				}
				return w.reporting.reports.writeAnswer(r.Context(), rw, "done")
			},
		}))
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != `"done"` {
			t.Errorf("%s: %d %q, %v", method, resp.StatusCode, got, err)
		}
		resp.Body.Close()
		s.Close()
	}
}
