package query

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
)

// slowClient reads one write in each interval, and honours deadlines.
type slowClient struct {
	http.ResponseWriter
	every    time.Duration
	deadline time.Time
}

func (c *slowClient) SetWriteDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func (c *slowClient) Write(b []byte) (int, error) {
	if left := time.Until(c.deadline); left < c.every {
		time.Sleep(max(left, 0))
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(c.every)
	return c.ResponseWriter.Write(b)
}

// stuckClient reads nothing until it is let go.
type stuckClient struct {
	http.ResponseWriter
	reads chan struct{} // has room for one write
	let   chan struct{}
}

func (c *stuckClient) Write(b []byte) (int, error) {
	select {
	case c.reads <- struct{}{}:
	default:
	}
	<-c.let
	return c.ResponseWriter.Write(b)
}

// TestSlowReadersKeepNobodyWaiting: the only place is free for others while clients
// of one account do not read, in the middle of an answer and at its end.
func TestSlowReadersKeepNobodyWaiting(t *testing.T) {
	w := newListWorld(t, Config{MaxScans: 1, MaxAnswers: 8, ScanWait: 10 * time.Second})
	w.Service.events.maxPageBytes = 100 << 10 // so that a page reads on as it is written
	for n := range 10 {
		w.append(0, schemas.Event{
			Product: 1, Client: 1, Time: time.Now().UnixMilli(), Name: "a", RandomID: strconv.Itoa(n),
			Properties: []byte(`{"x":"` + strings.Repeat("x", 50<<10) + `"}`),
		})
	}
	ask := func(out http.ResponseWriter, body string) {
		r := httptest.NewRequest(http.MethodPost, eventsPath, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+w.tokens["A"])
		w.Handler().ServeHTTP(out, r)
	}
	let, done := make(chan struct{}), make(chan int, 4)
	for n := range cap(done) {
		out, reads := httptest.NewRecorder(), make(chan struct{}, 1)
		body := `{"startDate":"2000-01-01","paging":{"page":1,"perPage":` + []string{"100", "1"}[n%2] + `}}`
		go func() {
			ask(&stuckClient{out, reads, let}, body)
			done <- out.Body.Len()
		}()
		<-reads
	}
	if rec := w.post(eventsPath, "Bearer "+w.tokens["B"], everything().body()); rec.Code != http.StatusOK {
		t.Errorf("a neighbour got %d %s", rec.Code, rec.Body)
	}
	close(let)
	for range cap(done) {
		if n := <-done; n < 50<<10 {
			t.Errorf("a slow client got %d bytes, want all", n)
		}
	}
}

// TestClientsMustRead: a client that reads little by little is given up when it is
// behind the rate, and one that reads nothing after writeStall.
func TestClientsMustRead(t *testing.T) {
	for _, c := range []struct {
		every time.Duration // for a write of 10,000 bytes
		took  time.Duration // 0: it gets everything
	}{
		{time.Second, 0},
		{9 * time.Second, 0},
		{11 * time.Second, 340 * time.Second}, // at the 31st write it is 30 s behind
		{31 * time.Second, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			slow := prometheus.NewCounter(prometheus.CounterOpts{})
			w := answerWriter{
				limits: limits{writeStall: 30 * time.Second, readRate: 1000, slow: slow},
				to:     &slowClient{ResponseWriter: httptest.NewRecorder(), every: c.every},
			}
			var err error
			begun := time.Now()
			for range 100 {
				if _, err = w.Write(make([]byte, 10_000)); err != nil {
					break
				}
				time.Sleep(time.Minute) // that we take does not count
				begun = begun.Add(time.Minute)
			}
			if took := time.Since(begun); errors.Is(err, os.ErrDeadlineExceeded) != (c.took > 0) || c.took > 0 && took != c.took {
				t.Errorf("a write in each %s: %v after %s, want %s", c.every, err, took, c.took)
			}
			if n := counted(t, slow); (n == 1) != (c.took > 0) {
				t.Errorf("%v slow readers counted", n)
			}
		})
	}
}
