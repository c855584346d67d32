package openapitest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCheckReportsUndocumentedExchange checks exchanges that differ from a valid one
// in one undocumented detail.
func TestCheckReportsUndocumentedExchange(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	const (
		path = "/v1/event/report"
		auth = "Basic a2V5OnNlY3JldA=="
		sent = `{"data":[{"euid":1,"event_name":"a","itime":1700000000001}]}`
		body = `{"code":0,"message":"success"}`
	)
	for name, x := range map[string]struct {
		method, path, auth, sent string
		status                   int
		body                     string
		header                   [2]string
		want                     string // of the error; "" is none
	}{
		"good":                    {"POST", path, auth, sent, 200, body, [2]string{}, ""},
		"path":                    {"POST", "/v2/event", auth, sent, 200, body, [2]string{}, "path"},
		"path that is there":      {"POST", "/v1/event", auth, sent, 200, body, [2]string{}, "path"},
		"method":                  {"GET", path, auth, "", 200, body, [2]string{}, "method"},
		"status":                  {"POST", path, auth, sent, 202, body, [2]string{}, "documented are"},
		"credentials":             {"POST", path, "Bearer x", sent, 200, body, [2]string{}, "credentials"},
		"body of the request":     {"POST", path, auth, `{"data":[]}`, 200, body, [2]string{}, "request"},
		"no body":                 {"POST", path, auth, "", 200, body, [2]string{}, "request"},
		"body of the answer":      {"POST", path, auth, sent, 200, `{"code":1,"message":"success"}`, [2]string{}, "code"},
		"member":                  {"POST", path, auth, sent, 200, `{"code":0,"message":"success","more":1}`, [2]string{}, "more"},
		"header":                  {"POST", path, auth, sent, 200, body, [2]string{"X-More", "1"}, "X-More"},
		"value of a header":       {"POST", path, auth, sent, 200, body, [2]string{"X-Request-Id", "a b"}, "X-Request-Id"},
		"header that is required": {"POST", path, "", sent, 401, `{"code":40050,"message":""}`, [2]string{}, "Www-Authenticate"},
		"content type":            {"POST", path, auth, sent, 200, body, [2]string{"Content-Type", "text/plain"}, "content type"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), x.method, x.path, nil)
		r.Header.Set("Authorization", x.auth)
		h := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"1"}}
		if x.header[0] != "" {
			h.Set(x.header[0], x.header[1])
		}
		err := c.Check(Exchange{r, []byte(x.sent), x.status, h, []byte(x.body)})
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}
