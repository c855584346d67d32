package tail

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

const (
	maxRequest   = 4 << 20
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second // for one frame
)

// Handler answers requests out of src to those who know secret. An empty
// secret opens it to nobody.
func Handler(src Source, secret string) http.Handler {
	return &server{src: src, secret: sha256.Sum256([]byte(secret)), open: secret != ""}
}

type server struct {
	src    Source
	secret [sha256.Size]byte
	open   bool // a secret is set
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	if !s.knows(r) {
		http.Error(w, "cluster secret refused", http.StatusUnauthorized)
		return
	}
	conn := http.NewResponseController(w)
	conn.SetReadDeadline(time.Now().Add(readTimeout)) //nolint:errcheck // a writer without deadlines is a test's
	req, err := decodeRequest(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sel, err := newSelection(req, memory.DefaultAllocator)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.weir.tail")
	if err := s.answer(w, r, sel); err != nil {
		// What is on the wire has no end frame, so the asker sees that it is cut
		// short; aborting tells it sooner.
		conn.SetWriteDeadline(time.Now()) //nolint:errcheck // the connection is given up either way
	}
}

// knows compares digests, so that neither content nor length of the secret
// shows in the time it takes.
func (s *server) knows(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	digest := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(digest[:], s.secret[:]) == 1 && ok && s.open
}

// answer takes every shard's rows first, one right after the other, and only
// then writes: no shard waits for the wire of another.
func (s *server) answer(w http.ResponseWriter, r *http.Request, sel *selection) error {
	parts, heads, err := s.parts(sel.req)
	defer func() {
		for i := range parts {
			parts[i].Release()
		}
	}()
	if err != nil {
		http.Error(w, "internal", http.StatusInternalServerError)
		return err
	}
	conn := http.NewResponseController(w)
	out := bufio.NewWriterSize(w, 64<<10)
	if err := writeHeader(out, heads); err != nil {
		return err
	}
	frames := &frameWriter{w: out}
	for i := range parts {
		for rec, err := range sel.batches(&parts[i]) {
			if err == nil {
				err = r.Context().Err()
			}
			if err != nil {
				return err
			}
			conn.SetWriteDeadline(time.Now().Add(writeTimeout)) //nolint:errcheck // a writer without deadlines is a test's
			if err := frames.write(i, rec); err != nil {
				return err
			}
		}
		parts[i].Release()
	}
	if err := frames.end(); err != nil {
		return err
	}
	return out.Flush()
}

// parts asks the source for every shard of req, in order of shards.
func (s *server) parts(req Request) ([]Part, []partHeader, error) {
	var parts []Part
	var heads []partHeader
	for _, shard := range sortedShards(req.From) {
		p, err := s.src.Tail(shard, req.From[shard])
		word := wireError(err)
		if err != nil && word == "" {
			return parts, nil, fmt.Errorf("tail of shard %d: %w", shard, err)
		}
		p.Shard, p.From = shard, req.From[shard]
		if err != nil {
			p.Release()
			p = Part{Shard: p.Shard, From: p.From}
		}
		parts = append(parts, p)
		heads = append(heads, partHeader{
			Shard: p.Shard, Epoch: p.Epoch, From: p.From, Next: p.Next, LogTime: p.LogTime, ReadAt: p.ReadAt, Error: word,
		})
	}
	return parts, heads, nil
}

func sortedShards[V any](m map[int32]V) []int32 {
	shards := make([]int32, 0, len(m))
	for shard := range m {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	return shards
}

var errColumn = errors.New("unknown column")
