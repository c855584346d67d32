package query

import (
	"errors"
	"net/http"
	"os"
	"time"

	"weir/schemas/places"
)

// answerWriter sends an answer to a client that may be slow, in the pieces in which
// it is made, so that a large one is never held whole. Its place is lent while the
// network blocks, and a client that reads too slowly is given up.
type answerWriter struct {
	limits
	to    http.ResponseWriter
	place *places.Place
	ended func() error // an error if nobody waits for the answer any more; nil is not asked

	sent    int64         // bytes
	blocked time.Duration // in writes
}

// Write gives the client writeStall to read what is written. Over the whole answer
// it has one writeStall and the time for what was sent at readRate: the time that
// we take to make the answer does not count.
func (w *answerWriter) Write(b []byte) (n int, err error) {
	if w.ended != nil {
		if err := w.ended(); err != nil {
			return 0, err
		}
	}
	w.sent += int64(len(b))
	all := w.writeStall + time.Duration(float64(w.sent)/float64(w.readRate)*float64(time.Second))
	err = w.place.Lend(func() error {
		begun := time.Now()
		http.NewResponseController(w.to).SetWriteDeadline(begun.Add(min(w.writeStall, all-w.blocked))) //nolint:errcheck // only a test's writer has no deadlines
		n, err = w.to.Write(b)
		w.blocked += time.Since(begun)
		return err
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.slow.Inc()
	}
	return n, err
}
