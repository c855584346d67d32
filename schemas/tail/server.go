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
	writeTimeout    = 30 * time.Second // for one frame

	maxEndWait      = 500 * time.Millisecond // how long an answer waits for its shards to be gathered to the end
	endPollInterval = 20 * time.Millisecond  // between looks
)

// Handler answers requests out of src to those who know secret. An empty
// secret opens it to nobody.
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
		// What is on the wire has no last frame, so the asker sees that it was cut
		// short. With its deadline behind it the connection ends here.
		conn.SetWriteDeadline(time.Now().Add(-time.Second)) //nolint:errcheck // a writer without deadlines is a test's
	}
}

func release(parts []Part) {
	for i := range parts {
		parts[i].Release()
	}
}

// authorized compares digests, so that neither content nor length of the secret
// shows in the time it takes.
func (s *server) authorized(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(digest[:], s.secret[:]) == 1 && ok && s.secretSet
}

// waitForEnd is parts, of shards that have come as far as the end of their log was
// known to be when this was first asked, or after maxEndWait as far as they are: an
// owner at work is milliseconds behind, and one with a backlog shall not keep
// anybody waiting. Single rows are of a position that was given already.
// The caller releases the parts, also after an error.
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

// collectParts asks the source for every shard of req, in order of shards, one right
// after the other: no shard waits for the wire of another. The caller releases
// the parts, also after an error.
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

// lagging says that a shard is short of where its log ended when it was first
// looked at, which ends remembers and parts get to say. A shard that was given
// up or has dropped what is asked for makes the asker begin anew: no reason to
// wait for others.
func lagging(parts []Part, ends map[int32]int64) bool {
	short := false
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
		short = short || p.Next < p.End
	}
	return short
}

func partHeaders(parts []Part) []partHeader {
	heads := make([]partHeader, len(parts))
	for i, p := range parts {
		heads[i] = partHeader{
			Shard: p.Shard, Epoch: p.Epoch, From: p.From, Next: p.Next, LogTime: p.LogTime, ReadAt: p.ReadAt, End: p.End, Error: errorCode(p.Err),
		}
	}
	return heads
}

// responseWriter is one answer on its way out.
type responseWriter struct {
	req       Request
	selection *selection
	parts     []Part
	headers   []partHeader
	conn      *http.ResponseController
	out       *bufio.Writer
}

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

// sendBatches sends batches as frames of one kind.
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
