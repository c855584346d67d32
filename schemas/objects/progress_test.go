package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// transportFunc is a store as a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sender returns an answer whose body brings n pieces of size bytes, one every pause,
// and then ends, or stands still.
func sender(n, size int, pause time.Duration, ends bool) transportFunc {
	return func(r *http.Request) (*http.Response, error) {
		out, in := io.Pipe()
		go func() {
			for range n {
				select {
				case <-time.After(pause):
				case <-r.Context().Done():
				}
				if _, err := in.Write(make([]byte, size)); err != nil {
					return
				}
			}
			if !ends {
				<-r.Context().Done()
				in.CloseWithError(context.Cause(r.Context()))
				return
			}
			in.Close()
		}()
		context.AfterFunc(r.Context(), func() { in.CloseWithError(r.Context().Err()) })
		return &http.Response{StatusCode: http.StatusOK, Body: out}, nil
	}
}

// receiver reads n pieces of size bytes of the request, one every pause, and then the
// rest, or stands still.
func receiver(n, size int, pause time.Duration, ends bool) transportFunc {
	return func(r *http.Request) (*http.Response, error) {
		for range n {
			if _, err := io.ReadFull(r.Body, make([]byte, size)); err != nil {
				return nil, err
			}
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		if ends {
			_, err := io.Copy(io.Discard, r.Body)
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, err
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
}

// lateAnswer reads the whole request and answers after a while.
func lateAnswer(after time.Duration) transportFunc {
	return func(r *http.Request) (*http.Response, error) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		select {
		case <-time.After(after):
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// TestBodiesMustMove has bodies of both directions that stall, trickle, and take long
// at a rate that is good enough: 1,000 bytes in 10 s.
func TestBodiesMustMove(t *testing.T) {
	const body = 100_000
	for name, c := range map[string]struct {
		store   transportFunc
		stalled bool
	}{
		"answer stalls":             {sender(3, 1000, time.Second, false), true},
		"answer stalls at once":     {sender(0, 0, 0, false), true},
		"answer trickles":           {sender(1000, 90, time.Second, true), true},
		"slow answer":               {sender(1000, 150, time.Second, true), false},
		"answer in rare pieces":     {sender(20, 5000, 9*time.Second, true), false},
		"request stalls":            {receiver(3, 1000, time.Second, false), true},
		"request trickles":          {receiver(1000, 50, time.Second, true), true},
		"slow request":              {receiver(1000, 100, 900*time.Millisecond, true), false},
		"request read, no answer":   {receiver(1, body, 0, false), true},
		"request read, late answer": {lateAnswer(50 * time.Second), false},
		"request read, none at all": {lateAnswer(time.Hour), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProgress(c.store, Config{StallTimeout: 10 * time.Second, MinRate: 100})
				ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour) // so that a body which nobody ends fails the test
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://store/k", bytes.NewReader(make([]byte, body)))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := p.RoundTrip(r)
				if err == nil {
					_, err = io.Copy(io.Discard, answer.Body)
					err = errors.Join(err, answer.Body.Close())
				}
				if _, stalled := errors.AsType[stallError](err); stalled != c.stalled || !c.stalled && err != nil {
					t.Errorf("%v, want a stall: %t", err, c.stalled)
				}
				if n := p.stalls.Load(); n > 0 != c.stalled {
					t.Errorf("%d stalls counted", n)
				}
			})
		})
	}
}

// TestOwnPausesAreNoStall lets the reader of a body take its time.
func TestOwnPausesAreNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgress(sender(5, 1000, time.Second, true), Config{StallTimeout: 10 * time.Second, MinRate: 100})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://store/k", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := p.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		for range 5 {
			time.Sleep(time.Hour)
			if _, err := io.ReadFull(answer.Body, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// stallingBucket is newTestBucket with a store that has 50 ms for each 1 byte.
func stallingBucket(t *testing.T, answer http.HandlerFunc) *Bucket {
	t.Helper()
	b := newTestBucket(t, answer)
	b.client.progress.timeout, b.client.progress.bytes = 50*time.Millisecond, 1
	return b
}

// TestStalledStore has a store that stops in the middle of a body. A call that stays
// stalled fails as a store that is down, and one that is stalled once is repeated.
func TestStalledStore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	var calls, stalls atomic.Int32
	stalls.Store(100)
	b := stallingBucket(t, func(w http.ResponseWriter, r *http.Request) {
		first := calls.Add(1) <= stalls.Load()
		if r.Method == http.MethodPut {
			if first {
				<-done
			}
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		w.Header().Set("Content-Length", "6")
		_, _ = io.WriteString(w, "abc")
		if first {
			w.(http.Flusher).Flush()
			<-done
		}
		_, _ = io.WriteString(w, "def")
	})
	t.Cleanup(func() { close(done) }) // before the server, which waits for its handlers, is closed
	if _, err := b.Get(ctx, "k"); ctx.Err() != nil || !Unreachable(err) {
		t.Errorf("get of a store that stalls each time: %v, want that it is unreachable", err)
	}
	calls.Store(0)
	stalls.Store(1)
	if got, err := b.Get(ctx, "k"); err != nil || string(got) != "abcdef" {
		t.Errorf("get of a store that stalls once = %q, %v", got, err)
	}
	calls.Store(0)
	if err := b.Put(ctx, "k", make([]byte, 64<<20)); err != nil {
		t.Errorf("put to a store that stalls once: %v", err)
	}
	if n := b.client.Stalls(); n < 5 {
		t.Errorf("%d stalls counted, want 5", n)
	}
}
