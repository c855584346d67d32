package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas"
	"weir/schemas/registry"
)

// openCharge returns a charge of a data source and an account.
func openCharge(b *budget, source *share, account string) *charge {
	return &charge{budget: b, source: source, account: b.shareOf(account)}
}

func TestBudget(t *testing.T) {
	b := newBudget(Config{MaxHeldBytes: 1600}.withDefaults())
	who := func(err error) string {
		if over, ok := errors.AsType[*overError](err); ok {
			return over.who
		}
		return ""
	}
	var k1, k2, k3, k4 share
	alone := openCharge(b, &k1, "A")
	if err := alone.add(800); err != nil {
		t.Errorf("a source alone may hold half: %v", err)
	}
	if got := who(alone.add(1)); got != overSource {
		t.Errorf("more than half alone: %q", got)
	}
	if got := who(openCharge(b, &k2, "A").add(1)); got != overAccount {
		t.Errorf("another source of that account: %q", got)
	}
	other := openCharge(b, &k3, "B")
	if err := other.add(200); err != nil {
		t.Errorf("another account: %v", err)
	}
	if got := who(other.add(1)); got != overSource {
		t.Errorf("beyond an eighth: %q", got)
	}
	for i := range 3 {
		if err := openCharge(b, new(share), fmt.Sprint("C", i)).add(200); err != nil {
			t.Errorf("account %d: %v", i, err)
		}
	}
	if got := who(openCharge(b, &k4, "D").add(1)); got != overWhole {
		t.Errorf("beyond the whole: %q", got)
	}
	alone.release()
	if held := b.held.Load(); held != 800 || k1.held.Load() != 0 {
		t.Errorf("%d bytes are charged after the release, %d of them to the source", held, k1.held.Load())
	}
}

// TestFairQueueTakesTurns lets a hundred requests of one account wait ahead of two of
// another one.
func TestFairQueueTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, crowd, few := &fairQueue{capacity: 1}, new(share), new(share)
		var mu sync.Mutex
		var order []*share
		pass := func(who *share) {
			n, err := f.acquire(t.Context(), who, 5, time.Hour)
			if err != nil || n != 1 {
				t.Errorf("acquire = %d, %v", n, err)
			}
			mu.Lock()
			order = append(order, who)
			mu.Unlock()
			time.Sleep(time.Second)
			f.release(n)
		}
		for i := range 102 {
			who := crowd
			if i >= 100 {
				who = few
			}
			go pass(who)
			synctest.Wait()
		}
		time.Sleep(200 * time.Second)
		synctest.Wait()
		if len(order) != 102 || order[2] != few || order[4] != few || f.inside != 0 || len(f.queues) != 0 {
			t.Errorf("%d came in, few of them third and fifth: %v", len(order), len(order) == 102 && order[2] == few && order[4] == few)
		}
	})
}

// TestFairQueueWaitsBounded checks who is told what when a turn does not come.
func TestFairQueueWaitsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, crowd, single := &fairQueue{capacity: 1}, new(share), new(share)
		if _, err := f.acquire(t.Context(), crowd, 1, time.Second); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		told := map[string]int{}
		for i := range 4 {
			go func() {
				who := crowd
				if i == 3 {
					who = single
				}
				_, err := f.acquire(t.Context(), who, 1, time.Second)
				over, _ := errors.AsType[*overError](err)
				mu.Lock()
				defer mu.Unlock()
				told[over.who]++
			}()
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if told[overAccount] < 2 || told[overAccount]+told[overWhole] != 4 || f.waiting() != 0 {
			t.Errorf("told %v, %d still wait", told, f.waiting())
		}
		f.release(1)
		if n, err := f.acquire(t.Context(), single, 1, 0); n != 1 || err != nil {
			t.Errorf("after the crowd: %d, %v", n, err)
		}
	})
}

// stalledBody is a body of which only a part arrives, until stop.
type stalledBody struct {
	part io.Reader
	stop chan struct{}
}

func (s stalledBody) Read(p []byte) (int, error) {
	if n, err := s.part.Read(p); err == nil {
		return n, nil
	}
	<-s.stop
	return 0, errors.New("stopped")
}

// stall sends requests that declare a body of 4 MiB, of which n bytes arrive, and
// returns the counts of the answers so far and what ends them.
func (e *testEdge) stall(key string, requests, n int) (answered func() map[int]int, end func()) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	answers, stop := map[int]int{}, make(chan struct{})
	handler := e.Service.Handler()
	part := bytes.Repeat([]byte(" "), n)
	for range requests {
		wait.Go(func() {
			r := httptest.NewRequestWithContext(e.t.Context(), http.MethodPost, pathReport, stalledBody{bytes.NewReader(part), stop})
			r.ContentLength = schemas.MaxBodyBytes
			r.SetBasicAuth(key, key+"-secret")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			answers[w.Code]++
		})
	}
	synctest.Wait()
	return func() map[int]int {
		mu.Lock()
		defer mu.Unlock()
		return answers
	}, func() { close(stop); wait.Wait() }
}

// TestSilentRequestsHoldNothing declares 256 MiB in 64 requests of which one byte
// arrives: what is only declared takes no room from anybody.
func TestSilentRequestsHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		_, end := e.stall("key1", 64, 1)
		if held := e.memory.held.Load(); held > 64*firstBytes {
			t.Errorf("%d bytes are charged", held)
		}
		if w := e.post(pathReport, "key2", oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Errorf("the neighbour: %d %s", w.Code, w.Body)
		}
		end()
		if held := e.memory.held.Load(); held != 0 {
			t.Errorf("%d bytes are still charged", held)
		}
	})
}

// TestNeighbourHasRoom lets one data source, and many of one account, fill what
// they can get. Another account still gets its part.
func TestNeighbourHasRoom(t *testing.T) {
	for name, keys := range map[string]int{"one source": 1, "many sources of one account": 60} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newTestEdge(t, Config{MaxHeldBytes: 32 << 20})
				refused := 0
				for i := range keys {
					key := fmt.Sprint("many", i)
					e.registry.sources[key] = registry.Source{Key: key, Product: 1001, Account: "A"}
					answered, end := e.stall(key, 60/keys, 1<<20)
					defer end()
					refused += answered()[http.StatusTooManyRequests]
				}
				if refused < 60-16 || e.memory.held.Load() > 16<<20 {
					t.Errorf("%d of 60 were refused, %d bytes are charged", refused, e.memory.held.Load())
				}
				who := map[int]string{1: overSource, 60: overAccount}[keys]
				if n := e.counter("weir_ingest_over_share_total", "who", who, "what", "memory"); n == 0 {
					t.Errorf("weir_ingest_over_share_total counts nobody for %q", who)
				}
				body := `{"data":[` + strings.Repeat(" ", 1<<20) + goodItem + `]}`
				if w := e.post(pathReport, "key2", body); w.Code != http.StatusOK {
					t.Errorf("the neighbour: %d %s", w.Code, w.Body)
				}
				w := e.post(pathReport, "many0", body)
				if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || decodeEnvelope(t, w.Body.Bytes()).Code != 90429 {
					t.Errorf("the source that is over: %d %s", w.Code, w.Body)
				}
			})
		})
	}
}

// TestBodiesThatAreLetInArrive sends more large bodies at once than have room. Some
// are refused at once; none is refused half-way for the others.
func TestBodiesThatAreLetInArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{MaxHeldBytes: 64 << 20})
		body := `{"data":[` + strings.Repeat(" ", 3<<20) + goodItem + `]}`
		var mu sync.Mutex
		var wait sync.WaitGroup
		answers := map[int]int{}
		begin := make(chan struct{})
		for range 60 {
			wait.Go(func() {
				<-begin
				w := e.report(body)
				mu.Lock()
				defer mu.Unlock()
				answers[w.Code]++
			})
		}
		close(begin)
		wait.Wait()
		if n := int(e.counter("weir_ingest_over_share_total", "who", overSource)); answers[200] == 0 || answers[429] != n || answers[200]+n != 60 {
			t.Errorf("answers %v, %d were over their share", answers, n)
		}
		if got := e.counter("weir_ingest_body_bytes_total"); got != float64(answers[200]*len(body)) {
			t.Errorf("%v bytes of bodies arrived, %d bodies of %d were taken", got, answers[200], len(body))
		}
		if held := e.memory.held.Load() + e.memory.expected.Load(); held != 0 {
			t.Errorf("%d bytes are still charged", held)
		}
	})
}

// memoryBodies are bodies of about 4 MiB that hold much memory in different ways.
func memoryBodies() map[string][]byte {
	fill := func(head, item, tail string) []byte {
		var b bytes.Buffer
		b.WriteString(head)
		for i := range schemas.MaxBodyBytes {
			next := strings.ReplaceAll(item, "#", fmt.Sprintf("%x", i))
			if b.Len()+len(next)+len(tail) >= schemas.MaxBodyBytes {
				break
			}
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(next)
		}
		b.WriteString(tail)
		return b.Bytes()
	}
	event := func(properties string) string {
		return `{"euid":1,"event_name":"a","itime":1654076420772,"properties":{` + properties + `}}`
	}
	var nested, long []string
	for i := range 480 {
		nested = append(nested, fmt.Sprintf(`"%d":%d`, i, i))
		long = append(long, fmt.Sprintf(`"p%d":"%s"`, i, strings.Repeat("x", 1000)))
	}
	return map[string][]byte{
		"1000 events":              fill(`{"data":[`, event(`"a":"`+strings.Repeat("y", 4300)+`"`), `]}`),
		"huge properties":          fill(`{"data":[`, event(strings.Join(long, ",")), `]}`),
		"escapes":                  fill(`{"data":[`, event(`"$user_agent":"`+strings.Repeat(`\u00e9`, 1000)+`"`), `]}`),
		"long names in $client":    fill(`{"data":[`, event(`"$client":{"`+strings.Repeat("n", 250)+`":{`+strings.Join(nested, ",")+`}}`), `]}`),
		"names of one object":      fill(`{"data":[{"euid":1,"event_name":"a","itime":1654076420772,"other":{`, `"#":1`, `}}]}`),
		"white space":              append(bytes.Repeat([]byte(" "), 4<<20-2000), batchBody(2)...),
		"100 events as usual":      batchBody(100),
		"refused: identity values": fill(`{"identity_name":"user_id","identity_values":[`, `""`, `]}`),
	}
}

// TestChargeIsReal compares what is charged for a request with what the heap has
// grown by, at its largest: decoded and encoded. The charge must cover what is
// held, and not be several times as much, or senders would be refused for nothing.
func TestChargeIsReal(t *testing.T) {
	e := newTestEdge(t, Config{MaxHeldBytes: 1 << 30})
	limiter := new(keyLimiter)
	for name, body := range memoryBodies() {
		for _, c := range []encoding{uncompressed, gzipped, zstandard} {
			if c != uncompressed && name != "1000 events" && name != "100 events as usual" {
				continue
			}
			var raw []byte
			switch c {
			case uncompressed:
				raw = body
			case gzipped:
				raw = gzipCompress(t, body)
			case zstandard:
				raw = zstdCompress(t, body)
			}
			before := liveHeap()
			in := e.newRequest(registry.Source{Key: "key1", Product: 1001, Account: "A"}, limiter)
			in.encoding = c
			if err := in.body.readAll(bytes.NewReader(raw), int64(len(raw)), func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			if err := e.startDecoding(t.Context(), in); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b := e.newBatch(in)
			events, err := in.decodeEvents()
			if err == nil {
				err = errors.Join(b.reserve(events), b.load(events, 4, nil))
			}
			if refused := strings.HasPrefix(name, "refused"); (err != nil) != refused {
				t.Fatalf("%s: %v", name, err)
			}
			held, charged := liveHeap()-before, e.memory.held.Load()
			own := in.turn.decoderBytes // covers peaks, and most bodies need none of it
			if held > charged+256<<10 || charged-own > 4*held+2<<20 {
				t.Errorf("%s, encoding %d: %d KiB are held, %d charged and %d of it for the decoder's own",
					name, c, held>>10, charged>>10, own>>10)
			}
			e.decoded(in)
			b.free()
			if left := e.memory.held.Load(); left != 0 {
				t.Errorf("%s: %d bytes are still charged", name, left)
			}
			runtime.KeepAlive(b)
		}
	}
}

// TestDecoderFactor holds decoderFactor to what the decoder of JSON remembers of
// the names of one object.
func TestDecoderFactor(t *testing.T) {
	body := memoryBodies()["names of one object"]
	d := &decoder{body: body}
	d.reset(1001, schemas.MaxTimeMS)
	before := liveHeap()
	if _, err := d.decodeEvents(); err != nil {
		t.Fatal(err)
	}
	own := liveHeap() - before
	if most := decoderFactor * int64(len(body)); own > most || own < most/4 {
		t.Errorf("the decoder holds %d KiB by itself for a body of %d; decoderFactor says at most %d", own>>10, len(body)>>10, most>>10)
	}
	shrinkDecoder(d, len(body))
	if own = liveHeap() - before; own > 1<<20 {
		t.Errorf("the decoder holds %d KiB in the pool", own>>10)
	}
	runtime.KeepAlive(d)
}

// TestDecompressorBytes holds the constants to what a decompressor really holds.
func TestDecompressorBytes(t *testing.T) {
	body := bytes.Repeat(batchBody(100), 10)
	for _, c := range []struct {
		encoding encoding
		raw      []byte
		most     int64
	}{{gzipped, gzipCompress(t, body), gzipBytes}, {zstandard, zstdCompress(t, body), zstdBytes}} {
		var most int64
		for range 8 { // the race detector makes pools forget some of what they are given
			most = max(most, decompressorHeap(t, c.encoding, c.raw))
		}
		if most > c.most || most < c.most/8 {
			t.Errorf("encoding %d: %d bytes are held, %d charged", c.encoding, most, c.most)
		}
	}
}

// decompressorHeap returns the bytes that a new pool of decompressors holds after one body.
func decompressorHeap(t *testing.T, c encoding, raw []byte) int64 {
	t.Helper()
	var d decompressors
	before := liveHeap()
	out := buffer{pool: new(bufferPool), charge: new(charge)}
	if err := d.decompress(c, raw, &out, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	held := liveHeap() - before - int64(cap(out.bytes))
	runtime.KeepAlive(&d)
	return held
}

// liveHeap returns the bytes of the heap that are in use. Pools keep what they
// have over one collection, so it takes one only.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
