package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Bounds of what is read of a request that was answered 413.
const (
	drainBytes = 16 << 20
	drainTime  = 10 * time.Second
)

// drainTooLarge sends an answer of status 413 whole and at once, and then goes on
// reading the request, within drainBytes and drainTime, before the connection is
// closed. A connection that is closed with unread bytes is reset, and a client that
// still sends would see the reset in place of the answer.
func drainTooLarge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Body // handlers put readers of their own in its place
		answer := &heldAnswer{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if answer.tooLarge {
			answer.send(request)
		}
	})
}

// heldAnswer holds back an answer of status 413, and passes on any other.
type heldAnswer struct {
	http.ResponseWriter
	tooLarge bool
	body     bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *heldAnswer) WriteHeader(status int) {
	if a.tooLarge = status == http.StatusRequestEntityTooLarge; !a.tooLarge {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *heldAnswer) Write(b []byte) (int, error) {
	if a.tooLarge {
		return a.body.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *heldAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// send sends the held answer and drains the request. With its length the answer is
// complete for a client that reads it at once, and the connection is not used again.
// Errors are those of a client that has gone, or of a request that never ends.
func (a *heldAnswer) send(request io.Reader) {
	control := http.NewResponseController(a.ResponseWriter)
	a.Header().Set("Connection", "close") // else net/http would read the request itself before it sends the answer
	a.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	a.ResponseWriter.WriteHeader(http.StatusRequestEntityTooLarge)
	_, _ = a.ResponseWriter.Write(a.body.Bytes())
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, request, drainBytes)
}
