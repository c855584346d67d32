package query

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir/query/report"
	"weir/schemas/places"
)

// holdQuestions takes every place that the account may have for large questions.
func (w *listWorld) holdQuestions() []*places.Place {
	var held []*places.Place
	for {
		place, err := w.views.AcquireQuestion(w.t.Context(), w.account)
		if err != nil {
			return held
		}
		held = append(held, place)
	}
}

// TestLargeQuestionsWait: while the account's places for large questions are taken, the
// next is a 503 before it is decoded, by every way that takes one, and a small one is
// answered.
func TestLargeQuestionsWait(t *testing.T) {
	w := configuredReportWorld(t, Config{ScanWait: time.Millisecond})
	held := w.holdQuestions()
	if len(held) == 0 {
		t.Fatal("no place at all")
	}
	padding := strings.Repeat(" ", largeBody)
	list := everything().body()
	counts := `{"startDate":"2024-01-01","endDate":"2024-01-02","groupByPeriod":"day"}`
	small := `{"startDate":"NOW-1","stopDate":"NOW","clientStatus":["active"]}`
	ask := map[string]func(body string) *httptest.ResponseRecorder{
		"events": func(body string) *httptest.ResponseRecorder { return w.post(eventsPath, "Bearer "+w.tokens["A"], body) },
		"counts": func(body string) *httptest.ResponseRecorder {
			return w.post(eventCountsPath, "Bearer "+w.tokens["A"], body)
		},
		"report": func(body string) *httptest.ResponseRecorder { return w.ask("generic/current/1", body) },
	}
	for name, body := range map[string]string{"events": list, "counts": counts, "report": small} {
		if out := ask[name]("not JSON" + padding); out.Code != http.StatusServiceUnavailable || out.Header().Get("Retry-After") == "" {
			t.Errorf("%s, large: %d %s, want 503", name, out.Code, out.Body)
		}
		if out := ask[name](body); out.Code == http.StatusServiceUnavailable {
			t.Errorf("%s, small: %d %s", name, out.Code, out.Body)
		}
	}
	for _, place := range held {
		place.Release()
	}
	if out := ask["events"](list + padding); out.Code != http.StatusOK {
		t.Errorf("after that: %d %s", out.Code, out.Body)
	}
}

// TestBodiesOfStrangersAreShort: who logs in or out is not known before the body is
// read, so little of it is.
func TestBodiesOfStrangersAreShort(t *testing.T) {
	w := newReportWorld(t)
	long := `{"userName":"a","password":"` + strings.Repeat("b", strangerBody) + `"}`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v3/auth/web", strings.NewReader(long))
	r.AddCookie(&http.Cookie{Name: cookieCsrf, Value: "any"})
	out := httptest.NewRecorder()
	w.Handler().ServeHTTP(out, r)
	if out.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s, want 413", out.Code, out.Body)
	}
}

// TestZonesArePublishedNames: what only this machine's files know is no zone.
func TestZonesArePublishedNames(t *testing.T) {
	for _, name := range []string{"localtime", "posixrules", "right/UTC", "posix/UTC", "Local"} {
		if _, err := report.ParseZone(name); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := report.ParseZone("Europe/Malta"); err != nil {
		t.Error(err)
	}
}
