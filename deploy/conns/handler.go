package conns

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"weir/schemas/clientaddr"
)

// Bounds of an answer that is given before the body has been read.
const (
	settleBytes = 16 << 10               // so much of a body is read, lest the connection must end
	settleTime  = 100 * time.Millisecond // in this time
	heldBytes   = 64 << 10               // of an answer of unknown length, which is held until it is whole
)

type connKey struct{}

// ConnContext is for http.Server: it lets Handler find the connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if ours, ok := c.(*Conn); ok {
		return context.WithValue(ctx, connKey{}, ours)
	}
	return ctx
}

// Handler gives every request of next a body with a deadline of progress, and an end
// to the connection where its answer comes before the end of its body.
//
// A read deadline that next sets is the grace of the body: what has arrived in time
// moves it. A body that is late fails with os.ErrDeadlineExceeded.
func (l *Listener) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*Conn)
		if !ok { // the process itself
			next.ServeHTTP(w, r)
			return
		}
		if !c.proxy {
			c.serve(w, r, next)
			return
		}
		addr := clientaddr.Group(l.set.cfg.Proxies.Client(r))
		if !l.set.enter(addr) {
			c.serve(w, r, http.HandlerFunc(l.tooManyRequests))
			return
		}
		defer l.set.leave(addr)
		c.serve(w, r, next)
	})
}

// serve answers one request.
func (c *Conn) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if c.beginRequest() {
		w.Header().Set("Connection", "close")
	}
	defer c.endRequest()
	if r.Body == nil || r.Body == http.NoBody {
		next.ServeHTTP(w, r)
		return
	}
	x := &exchange{ResponseWriter: w, conn: c, head: r.Method == http.MethodHead, length: r.ContentLength, expects: r.Header.Get("Expect") != ""}
	x.body = body{ReadCloser: r.Body, conn: c, pace: newPace(c.l.set.cfg.MinRate, c.l.set.cfg.RateGrace)}
	r.Body = &x.body
	defer x.end()
	next.ServeHTTP(x, r)
	x.returned = true
}

// body is the body of a request. It fails when the client sends too slowly.
type body struct {
	io.ReadCloser
	conn *Conn
	pace pace
	read int64
	err  error // the first: io.EOF is a body that has been read
	late bool
}

func (b *body) Read(p []byte) (int, error) {
	start := time.Now()
	b.conn.beginBody(&b.pace, start)
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.pace.spend(time.Since(start), n)
	if err != nil && b.err == nil {
		if b.err = err; errors.Is(err, os.ErrDeadlineExceeded) {
			b.late = true
			b.conn.countTimeout(lateBody)
		}
	}
	b.conn.endBody(err == io.EOF) // a reader returns it unwrapped
	return n, err
}

// setGrace is a read deadline of the handler.
func (b *body) setGrace(by time.Time) {
	if by.IsZero() || b.err != nil {
		return
	}
	b.pace.grace = time.Until(by)
	b.pace.refill()
}

// exchange is a request with a body, and its answer.
type exchange struct {
	http.ResponseWriter
	conn     *Conn
	body     body
	head     bool  // the answer has no body
	expects  bool  // the client waits to be asked for the body
	length   int64 // of the body; -1 is unknown
	wrote    bool  // the status is known
	early    bool  // the answer precedes the end of the body
	returned bool  // the handler has returned, not panicked

	status int           // of held
	held   *bytes.Buffer // an early answer that is not whole
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.wrote || status < http.StatusOK {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	x.wrote = true
	if x.early = !x.settle(); x.early {
		x.Header().Set("Connection", "close") // else net/http would read the body itself before it sends the answer
		if x.Header().Get("Content-Length") == "" && !x.head && status != http.StatusNoContent && status != http.StatusNotModified {
			x.status, x.held = status, new(bytes.Buffer)
			return
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// settle reads the rest of a small body, if it is here. It reports whether the body
// has been read, so that the connection can go on.
func (x *exchange) settle() bool {
	switch {
	case x.body.err != nil:
		return errors.Is(x.body.err, io.EOF)
	case x.expects, x.length >= 0 && x.length-x.body.read > settleBytes:
		return false
	}
	x.body.pace.grace = settleTime
	x.body.pace.refill()
	n, err := io.CopyN(io.Discard, settling{&x.body}, settleBytes+1)
	return errors.Is(err, io.EOF) && n <= settleBytes
}

// settling reads a body without taking part in its count of late ones.
type settling struct{ b *body }

func (s settling) Read(p []byte) (int, error) {
	s.b.conn.beginBody(&s.b.pace, time.Now())
	n, err := s.b.ReadCloser.Read(p)
	if err != nil {
		s.b.err = err
	}
	s.b.conn.endBody(err == io.EOF)
	return n, err
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if !x.wrote {
		x.WriteHeader(http.StatusOK)
	}
	if x.held != nil && x.held.Len()+len(p) <= heldBytes {
		return x.held.Write(p)
	}
	if err := x.letGo(); err != nil {
		return 0, err
	}
	return x.ResponseWriter.Write(p)
}

// letGo sends the status and what is held of the answer.
func (x *exchange) letGo() error {
	if x.held == nil {
		return nil
	}
	held := x.held
	x.held = nil
	x.ResponseWriter.WriteHeader(x.status)
	_, err := x.ResponseWriter.Write(held.Bytes())
	return err
}

// end sends an early answer whole and lets the client read it, before the connection
// is closed. net/http must not wait for the rest of the body afterwards.
func (x *exchange) end() {
	if !x.returned { // the handler has panicked, and the connection ends without an answer
		_ = x.conn.SetReadDeadline(longAgo) // a closed connection needs none
		return
	}
	if !x.wrote {
		x.WriteHeader(http.StatusOK)
	}
	if !x.early {
		return
	}
	whole := x.held != nil || x.Header().Get("Content-Length") != "" || x.head
	if x.held != nil {
		x.Header().Set("Content-Length", strconv.Itoa(x.held.Len()))
	}
	if x.letGo() == nil && http.NewResponseController(x.ResponseWriter).Flush() == nil && whole {
		x.conn.linger(x.patience())
	}
	_ = x.conn.SetReadDeadline(longAgo) // as above
}

// patience is how long a client may go on sending a body that nobody wants.
func (x *exchange) patience() time.Duration {
	if x.body.late {
		return lingerPause
	}
	return lingerTime
}

// FlushError is for http.ResponseController.
func (x *exchange) FlushError() error {
	if !x.wrote {
		x.WriteHeader(http.StatusOK)
	}
	if err := x.letGo(); err != nil {
		return err
	}
	return http.NewResponseController(x.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (x *exchange) Flush() { _ = x.FlushError() } // the next write fails too

// SetReadDeadline is for http.ResponseController; see Handler.
func (x *exchange) SetReadDeadline(by time.Time) error {
	x.body.setGrace(by)
	return nil
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }
