package query

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
)

// limits bound how much of a request the service reads, and how long a client
// may take to send it and to read the answer.
type limits struct {
	maxBody    int64         // bytes of a body
	writeStall time.Duration // see Config.WriteStall
	readRate   int64         // see Config.ReadRate
	slow       prometheus.Counter
}

// withReadDeadline gives the client writeStall to send its request. The deadline
// is cleared once the body has been read: net/http goes on reading, to notice
// that a client hangs up, and would take an answer that is late for that.
func (l limits) withReadDeadline(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(l.writeStall)) // only a test's writer has no deadlines
	r.Body = &deadlineBody{ReadCloser: r.Body, control: control}
}

// body returns the body of r, which fails with a MaxBytesError beyond maxBody.
func (l limits) body(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	return http.MaxBytesReader(w, r.Body, l.maxBody)
}

// deadlineBody clears the read deadline at its end, and marks errors of the
// deadline.
type deadlineBody struct {
	io.ReadCloser
	control *http.ResponseController
	late    bool
}

func (b *deadlineBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF: // a reader returns it unwrapped
		_ = b.control.SetReadDeadline(time.Time{}) // only a test's writer has no deadlines
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.late = true
		err = &lateBodyError{err}
	}
	return n, err
}

// lateBodyError is the error of a body that did not arrive in time.
type lateBodyError struct{ error }

func (e *lateBodyError) Unwrap() error { return e.error }

// lateBody reports whether err is that of a body that did not arrive in time,
// and how that is answered.
func lateBody(err error) (*schemas.RequestError, bool) {
	_, late := errors.AsType[*lateBodyError](err)
	return errLateBody(), late
}

func errLateBody() *schemas.RequestError {
	return &schemas.RequestError{Status: http.StatusRequestTimeout, Code: "body_timeout", Detail: "The body did not arrive in time"}
}
