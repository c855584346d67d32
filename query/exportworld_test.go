package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/objects"
	"weir/schemas/openapi/openapitest"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

// exportWorld is a service over a lake in memory, with two accounts: A has
// products 1001 and 1002, B has 2001. It has two shards.
type exportWorld struct {
	*Service
	t      *testing.T
	bucket *memBucket
	states map[int32]lake.ShardState
	userA  registry.User
	userB  registry.User
}

// Handler is the service's; what goes through it is held to the documents.
func (w *exportWorld) Handler() http.Handler {
	return openapitest.Wrap(w.t, w.Service.Handler())
}

const worldPassword = "correct horse battery staple"

func newExportWorld(t *testing.T, cfg Config) *exportWorld {
	t.Helper()
	bucket := newMemBucket()
	w := newExportWorldIn(t, cfg, bucket)
	w.bucket = bucket
	return w
}

func newExportWorldIn(t *testing.T, cfg Config, bucket export.Bucket) *exportWorld {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	reg, err := registry.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "registry.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	client := tail.NewClient(tail.Config{Secret: "s", DialTimeout: time.Minute, Timeout: time.Minute})
	t.Cleanup(client.Close)
	s, err := newService(cfg, Deps{
		Registry: reg, Lake: laketest.Lake(t, lake.Config{Compression: "snappy", CacheBytes: -1}), Tail: client, Log: log,
	}, bucket)
	if err != nil {
		t.Fatal(err)
	}
	w := &exportWorld{Service: s, t: t, states: map[int32]lake.ShardState{}}
	w.userA = w.account("A", "ann@example.org", 1001, 1002)
	w.userB = w.account("B", "bob@example.org", 2001)
	if _, err := reg.PutTopicLayout(t.Context(), `{"topic":"events","shards":2,"hash":"murmur2","topic_id":"x"}`); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *exportWorld) account(name, email string, products ...int64) registry.User {
	w.t.Helper()
	ctx, reg := w.t.Context(), w.deps.Registry
	account, err := reg.CreateAccount(ctx, name)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range products {
		if _, err := reg.CreateProduct(ctx, registry.Product{ID: id, Account: account.ID, Name: fmt.Sprint("Product ", id)}); err != nil {
			w.t.Fatal(err)
		}
	}
	user, err := reg.CreateUser(ctx, registry.User{Account: account.ID, Email: email}, worldPassword)
	if err != nil {
		w.t.Fatal(err)
	}
	return user
}

// arrive commits events to a shard as if their records had come at an instant,
// and a tick if there are none.
func (w *exportWorld) arrive(shard int32, at time.Time, events ...schemas.Event) {
	w.t.Helper()
	ctx, st := w.t.Context(), w.states[shard]
	from := st.Next
	var files []lake.DataFile
	if len(events) > 0 {
		rec := eventBatch(shard, from, at, events)
		defer rec.Release()
		var err error
		if files, err = w.deps.Lake.WriteEvents(ctx, shard, []arrow.Record{rec}); err != nil {
			w.t.Fatal(err)
		}
	}
	st.LogTime = max(st.LogTime, at.UnixMilli())
	st.Next += int64(max(len(events), 1))
	st.Counters.Stored += int64(len(events))
	if len(events) == 0 {
		st.Counters.Control++
	}
	cut := lake.Cut{ID: fmt.Sprintf("%d-%d", shard, st.Next), Shard: shard, From: from, To: st, Files: files, Sealed: time.Now()}
	out, err := w.deps.Lake.Commit(ctx, lake.Events, []lake.Cut{cut})
	if err != nil || out[0] != lake.Committed {
		w.t.Fatalf("commit of shard %d: %v, %v", shard, out, err)
	}
	w.states[shard] = st
}

func eventBatch(shard int32, offset int64, at time.Time, events []schemas.Event) arrow.Record {
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for n := range events {
		b.Append(&events[n], columns.Position{Shard: shard, Offset: offset + int64(n), Arrival: at.UnixMilli()})
	}
	return b.Batch()
}

// tick moves both shards.
func (w *exportWorld) tick(at time.Time) {
	w.t.Helper()
	w.arrive(0, at)
	w.arrive(1, at)
}

// login is the session cookie of a user.
func (w *exportWorld) login(user registry.User) string {
	w.t.Helper()
	session, err := w.deps.Registry.NewSession(w.t.Context(), user.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return session.ID
}

// ask sends a request with the session of user.
func (w *exportWorld) ask(user registry.User, method, path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "http://weir.example"+path, strings.NewReader(body))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.login(user)})
	out := httptest.NewRecorder()
	w.Handler().ServeHTTP(out, r)
	return out
}

// event is a custom event that names itself.
func event(product int64, name string) schemas.Event {
	return schemas.Event{
		Product: product, Client: 42, Time: time.Date(1999, 12, 24, 18, 0, 0, 0, time.UTC).UnixMilli(), Name: name, RandomID: "r-" + name,
		ClientProps: []byte(`{"prodVersion":"3.1","os.version":"MS Win 10","licenseStatus.activated":true}`),
		Properties:  []byte(`{"Key1":"Value1","n":2}`),
	}
}

func exception(class string) schemas.Event {
	e := event(1001, schemas.ExceptionName)
	e.RandomID = "r-" + class
	e.Exception = &schemas.Exception{Class: class, Method: "Main", Message: "it broke", Stack: "at Main"}
	return e
}

func sessionStop(product int64) schemas.Event {
	e := event(product, schemas.SessionStop)
	runtime, value, category := int64(90_500), decimal128.FromI64(1_250_000_000), "cat"
	e.RuntimeMS, e.Value, e.Category, e.SessionID, e.AppKey = &runtime, &value, &category, "s-1", "app"
	return e
}

// memBucket is the object store in memory.
type memBucket struct {
	mu      sync.Mutex // guards what follows
	objects map[string][]byte
	tried   map[string]int          // uploads begun, by the last part of the key
	fault   func(attempt int) error // of Upload, before anything is read
	stuck   bool                    // Upload takes some bytes and never ends
}

func newMemBucket() *memBucket {
	return &memBucket{objects: map[string][]byte{}, tried: map[string]int{}}
}

// begin counts an upload, and fails it if it is to fail.
func (b *memBucket) begin(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := path.Base(key)
	b.tried[name]++
	if b.fault == nil {
		return nil
	}
	return b.fault(b.tried[name])
}

func (b *memBucket) attempts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.tried)
}

func (b *memBucket) Upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := b.begin(key); err != nil {
		return 0, err
	}
	if b.isStuck() {
		return 0, stickUpload(ctx, r)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.objects[key]; there {
		return 0, errors.New("an object was put twice: " + key)
	}
	b.objects[key] = body
	return int64(len(body)), nil
}

func (b *memBucket) isStuck() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stuck
}

func (b *memBucket) setStuck(stuck bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck = stuck
}

// stickUpload reads some bytes and then waits until the upload is cancelled.
func stickUpload(ctx context.Context, r io.Reader) error {
	if _, err := r.Read(make([]byte, 10)); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (b *memBucket) GetRange(_ context.Context, key string, off, n int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, there := b.objects[key]
	if !there {
		return nil, fmt.Errorf("get %s: %w", key, fs.ErrNotExist)
	}
	return bytes.Clone(body[off : off+n]), nil
}

func (*memBucket) Presign(_ context.Context, in objects.PresignInput) (string, error) {
	return fmt.Sprintf("%s/exports/%s?ttl=%s&name=%s", in.Endpoint, in.Key, in.TTL, in.FileName), nil
}

func (b *memBucket) Delete(_ context.Context, keys ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		delete(b.objects, key)
	}
	return nil
}

func (b *memBucket) keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.objects))
}

// get follows a link of Presign.
func (b *memBucket) get(t *testing.T, link string) []byte {
	t.Helper()
	_, rest, ok := strings.Cut(link, "/exports/")
	key, _, _ := strings.Cut(rest, "?")
	b.mu.Lock()
	defer b.mu.Unlock()
	body, there := b.objects[key]
	if !ok || !there {
		t.Fatalf("link %s leads nowhere", link)
	}
	return bytes.Clone(body)
}
