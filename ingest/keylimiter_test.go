package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{MaxInFlight: 3})
		release := make(chan struct{})
		e.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			e.cluster.KeepControl()
			e.cluster.SleepControl(func() { <-release })
			return nil, nil, false
		})
		var wg sync.WaitGroup
		accepted := func(key, prefix string) {
			if w := e.post(pathReport, key, oneEventPerShard(prefix)); w.Code != http.StatusOK {
				t.Errorf("%s of %s: %d %s", prefix, key, w.Code, w.Body)
			}
		}
		for i := range 3 {
			wg.Go(func() { accepted("key1", fmt.Sprint("a", i)) })
		}
		time.Sleep(time.Second)
		w := e.report(oneEventPerShard("b"))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Errorf("the fourth: %d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		wg.Go(func() { accepted("key2", "c") })
		time.Sleep(time.Second)
		close(release)
		wg.Wait()
		accepted("key1", "d")
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{}) // key "slow" has 10 events a second and a bucket of 1,000
		items := func(n int) string {
			return `{"data":[` + strings.TrimSuffix(strings.Repeat(goodItem+",", n), ",") + `]}`
		}
		if w := e.post(pathReport, "slow", items(1000)); w.Code != http.StatusOK {
			t.Errorf("a full bucket: %d %s", w.Code, w.Body)
		}
		refused := func(name, body, after string) {
			t.Helper()
			w := e.post(pathReport, "slow", body)
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != after {
				t.Errorf("%s: %d %s, Retry-After %q, want %s", name, w.Code, w.Body, w.Header().Get("Retry-After"), after)
			}
		}
		refused("an empty one, which reads no body", "not even JSON", "1")
		time.Sleep(time.Second)
		refused("one of 10 that needs 25", items(25), "2")
		time.Sleep(2 * time.Second)
		if w := e.post(pathReport, "slow", items(25)); w.Code != http.StatusOK {
			t.Errorf("after Retry-After: %d %s", w.Code, w.Body)
		}
		if w := e.report(items(1000)); w.Code != http.StatusOK {
			t.Errorf("a key without a rate: %d %s", w.Code, w.Body)
		}
	})
}
