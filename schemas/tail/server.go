package tail

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

const (
	maxRequestBytes = 4 << 20
	readTimeout     = 5 * time.Second
	writeTimeout    = 30 * time.Second // for one frame: a slow client is cut off, a slow large response is not

	maxEndWait      = 500 * time.Millisecond // how long a response waits for shards to be consumed to the end of their log
	endPollInterval = 20 * time.Millisecond  // between two checks
)

// Handler serves requests from provider to clients that know secret. With an
// empty secret it refuses everybody.
func Handler(src Provider, secret string) http.Handler {
	return &server{provider: src, secret: sha256.Sum256([]byte(secret)), secretSet: secret != ""}
}

type server struct {
	provider  Provider
	secret    [sha256.Size]byte
	secretSet bool // a secret is set
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	if !s.authorized(r) {
		http.Error(w, "cluster secret refused", http.StatusUnauthorized)
		return
	}
	conn := http.NewResponseController(w)
	conn.SetReadDeadline(time.Now().Add(readTimeout)) //nolint:errcheck // a writer without deadlines is a test's
	req, err := decodeRequest(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sel, err := newSelection(req, memory.DefaultAllocator)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	parts, err := s.waitForEnd(r.Context(), req)
	defer release(parts)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.weir.tail")
	a := &responseWriter{req: req, selection: sel, parts: parts, headers: partHeaders(parts), conn: conn, out: bufio.NewWriterSize(w, 64<<10)}
	if err := a.write(r.Context()); err != nil {
		// The response lacks its last frame, so the client notices that it was cut
		// short. A write deadline in the past makes net/http close the connection
		// instead of ending the response properly.
		conn.SetWriteDeadline(time.Now().Add(-time.Second)) //nolint:errcheck // a writer without deadlines is a test's
	}
}

func release(parts []Part) {
	for i := range parts {
		parts[i].Release()
	}
}

// authorized compares digests, so that the time it takes reveals neither content
// nor length of the secret.
func (s *server) authorized(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(digest[:], s.secret[:]) == 1 && ok && s.secretSet
}

// waitForEnd returns the parts once every shard has reached the end of its log as
// it was at the first look, or after maxEndWait as they are then. An owner under
// normal load is milliseconds behind; one with a backlog must not delay the query
// any longer. A request for single rows does not wait, as it refers to a position
// that was returned before. The caller releases the parts, also after an error.
func (s *server) waitForEnd(ctx context.Context, req Request) ([]Part, error) {
	ends := map[int32]int64{}
	for until := time.Now().Add(maxEndWait); ; {
		parts, err := s.collectParts(req)
		if err != nil {
			return parts, err
		}
		if !lagging(parts, ends) || req.Rows != nil || !time.Now().Before(until) {
			return parts, nil
		}
		release(parts)
		select {
		case <-time.After(endPollInterval):
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the end of the log: %w", ctx.Err())
		}
	}
}

// collectParts takes the tail of every shard of req, ordered by shard, before
// anything is written: the position of no shard depends on how fast another one is
// sent. The caller releases the parts, also after an error.
func (s *server) collectParts(req Request) ([]Part, error) {
	var parts []Part
	for _, shard := range sortedShards(req.From) {
		p, err := s.provider.Tail(shard, req.From[shard])
		if err != nil {
			p.Release()
			if errorCode(err) == "" {
				return parts, fmt.Errorf("tail of shard %d: %w", shard, err)
			}
			p = Part{Err: err}
		}
		p.Shard, p.From = shard, req.From[shard]
		parts = append(parts, p)
	}
	return parts, nil
}

// lagging reports whether a shard has not reached the end that its log had at the
// first look. ends remembers that end by shard, and the parts report it. A shard
// that is no longer owned, or has dropped the requested offsets, makes the client
// start over, so there is no reason to wait for the others.
func lagging(parts []Part, ends map[int32]int64) bool {
	behind := false
	for i := range parts {
		p := &parts[i]
		switch {
		case errors.Is(p.Err, ErrGone), errors.Is(p.Err, ErrNotOwner):
			return false
		case p.Err != nil:
			continue
		}
		if _, known := ends[p.Shard]; !known {
			ends[p.Shard] = p.End
		}
		p.End = ends[p.Shard]
		behind = behind || p.Next < p.End
	}
	return behind
}

// partHeaders returns the header of the response. It is taken before the first part is
// released.
func partHeaders(parts []Part) []partHeader {
	heads := make([]partHeader, len(parts))
	for i, p := range parts {
		heads[i] = partHeader{
			Shard: p.Shard, Epoch: p.Epoch, From: p.From, Next: p.Next, LogTime: p.LogTime, ReadAt: p.ReadAt, End: p.End, Error: errorCode(p.Err),
		}
	}
	return heads
}

// responseWriter writes one response.
type responseWriter struct {
	req       Request
	selection *selection
	parts     []Part
	headers   []partHeader
	conn      *http.ResponseController
	out       *bufio.Writer
}

// write writes the whole response: header, the batches of each part, end. It releases a
// part once it is written, so that memory shrinks while a slow client reads.
func (a *responseWriter) write(ctx context.Context) error {
	frames := &frameWriter{w: a.out}
	if err := frames.writeHeader(a.headers); err != nil {
		return err
	}
	for i := range a.parts {
		p := &a.parts[i]
		if err := a.sendBatches(ctx, frames, uint32(i), a.selection.batches(p, p.Rows)); err != nil {
			return err
		}
		if a.req.Changes {
			if err := a.sendBatches(ctx, frames, changesFrame+uint32(i), newChangeSelection(a.req, a.selection.mem).batches(p, p.Changes)); err != nil {
				return err
			}
		}
		p.Release()
	}
	if err := frames.writeEnd(); err != nil {
		return err
	}
	return a.out.Flush()
}

// sendBatches writes batches as frames of one kind, each with a fresh deadline.
func (a *responseWriter) sendBatches(ctx context.Context, frames *frameWriter, kind uint32, batches iter.Seq2[arrow.Record, error]) error {
	for rec, err := range batches {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		a.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) //nolint:errcheck // a writer without deadlines is a test's
		if err := frames.writeBatch(kind, rec); err != nil {
			return err
		}
	}
	return nil
}

func sortedShards[V any](m map[int32]V) []int32 {
	shards := make([]int32, 0, len(m))
	for shard := range m {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	return shards
}
