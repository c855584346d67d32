package processor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir/schemas/tail"
)

func TestTailRequiresSecret(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{Secret: "s"})
		time.Sleep(time.Second)
		ask := func(secret string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tail.Path, strings.NewReader(`{"from":{"0":0}}`))
			r.Header.Set("Authorization", "Bearer "+secret)
			answer := httptest.NewRecorder()
			p.service.Handler().ServeHTTP(answer, r)
			return answer.Code
		}
		if got := [2]int{ask("s"), ask("other")}; got != [2]int{http.StatusOK, http.StatusUnauthorized} {
			t.Errorf("status with the secret and with another = %v, want 200 and 401", got)
		}
		if err := p.service.Ready(); err != nil {
			t.Errorf("ready = %v, want nil", err)
		}
		p.stopAndWait()
	})
}

func TestNewRejectsBadConfig(t *testing.T) {
	for _, cfg := range []Config{{DedupeWindow: time.Minute}, {DedupeWindow: 31 * 24 * time.Hour}, {AcceptLoss: "nonsense"}} {
		if _, err := New(cfg, Deps{}); err == nil {
			t.Errorf("New accepts %+v", cfg)
		}
	}
}
