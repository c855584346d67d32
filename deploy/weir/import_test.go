package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

// fakeIngest stands in for the Ingestion API: it accepts events with a name. The
// first requests get the answers in first.
type fakeIngest struct {
	mu       sync.Mutex
	first    []func(http.ResponseWriter) // answers of the first requests
	got      []map[string]any            // events taken
	largest  int                         // events in one request
	requests int                         // that were taken
}

func (e *fakeIngest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key, secret, _ := r.BasicAuth(); key != "k" || secret != "s" || r.URL.Path != "/v1/event/report" {
		w.WriteHeader(401)
		fmt.Fprint(w, `{"code":40050,"message":"no such key"}`)
		return
	}
	if len(e.first) > 0 {
		answer := e.first[0]
		e.first = e.first[1:]
		answer(w)
		return
	}
	var body struct {
		AppKey *string `json:"app_key"`
		Data   []map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"code":90400,"message":%q}`, err)
		return
	}
	var bad []string
	for i, event := range body.Data {
		if event["event_name"] == nil && len(bad) < 2 { // it names no more than two at once
			bad = append(bad, fmt.Sprintf(`{"index":%d,"field":"event_name","reason":"is missing"}`, i))
		}
	}
	if len(bad) > 0 {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"code":90400,"message":"bad","errors":[%s]}`, strings.Join(bad, ","))
		return
	}
	e.largest = max(e.largest, len(body.Data))
	e.requests++
	for _, event := range body.Data {
		if body.AppKey != nil {
			event["app_key"] = *body.AppKey
		}
		if geo := r.Header.Get("Weir-Geoip"); geo != "" {
			event["geoip"] = geo
		}
	}
	e.got = append(e.got, body.Data...)
	fmt.Fprint(w, `{"code":0,"message":"success"}`)
}

// imported runs weir import on files with the given contents.
func imported(t *testing.T, e *fakeIngest, flags []string, files map[string][]byte) (code int, stdout, stderr, dir string) {
	t.Helper()
	server := httptest.NewServer(e)
	defer server.Close()
	dir = t.TempDir()
	args := append([]string{"import", "--url", server.URL, "--key", "k"}, flags...)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	var out, errs bytes.Buffer
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, environ: []string{"WEIR_SECRET=s"}}
	code = p.command(t.Context(), args)
	return code, out.String(), errs.String(), dir
}

func lines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "{\"euid\":%d,\"event_name\":\"e\",\"itime\":1700000000001}\n", i)
	}
	return b.Bytes()
}

func TestImportSendsEveryFormat(t *testing.T) {
	var gz, zst bytes.Buffer
	g := gzip.NewWriter(&gz)
	_, _ = g.Write(lines(700))
	_ = g.Close()
	z, _ := zstd.NewWriter(&zst)
	_, _ = z.Write(bytes.TrimSuffix(lines(1300), []byte("\n"))) // no newline at the end
	_ = z.Close()
	e := &fakeIngest{}
	code, stdout, stderr, _ := imported(t, e, nil, map[string][]byte{
		"a.ndjson": append([]byte(byteOrderMark+"\n \t"), append(lines(3), "\n  \r\n"...)...), "b.gz": gz.Bytes(), "c.zst": zst.Bytes(), "empty": nil,
	})
	if code != 0 || len(e.got) != 2003 || e.largest > batchEvents {
		t.Errorf("exit %d, %d events, at most %d in a request; want 0, 2003, %d\n%s%s", code, len(e.got), e.largest, batchEvents, stdout, stderr)
	}
	if !strings.HasPrefix(stdout, "sent 2003 events of 4 files in ") {
		t.Errorf("summary: %s", stdout)
	}
}

func TestImportRejectsBadEventsAndSendsTheRest(t *testing.T) {
	e := &fakeIngest{}
	text := strings.Join([]string{
		`{"euid":1,"event_name":"a"}`, `{"euid":2}`, `nonsense`, `{"euid":3,"euid":4,"event_name":"a"}`,
		`{"euid":5}`, `{"euid":6}`, `[1]`, `{"euid":7,"event_name":"b"}`, `{"euid":8} {}`,
		`{"euid":9,"event_name":"` + strings.Repeat("x", maxLine) + `"}`,
	}, "\n")
	code, stdout, stderr, dir := imported(t, e, nil, map[string][]byte{"f": []byte(text)})
	if code != 1 || len(e.got) != 2 {
		t.Errorf("exit %d, %d events taken; want 1 and 2\n%s%s", code, len(e.got), stdout, stderr)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "f.rejected"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[int]string{}
	for line := range strings.Lines(string(kept)) {
		var r rejection
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		reasons[r.Line] = r.Field + " " + r.Reason
	}
	for line, want := range map[int]string{
		2: "event_name is missing", 3: "not a JSON object", 4: "duplicate", 5: "event_name", 6: "event_name",
		7: "not a JSON object", 9: "not valid JSON", 10: "longer than",
	} {
		if !strings.Contains(reasons[line], want) {
			t.Errorf("line %d: %q, want %q", line, reasons[line], want)
		}
	}
	if len(reasons) != 8 {
		t.Errorf("%d lines were rejected, want 8: %v", len(reasons), reasons)
	}
}

func TestImportRemovesAnOldRejectedFile(t *testing.T) {
	code, _, _, dir := imported(t, &fakeIngest{}, nil, map[string][]byte{"f": lines(1), "f.rejected": lines(1)})
	if _, err := os.Stat(filepath.Join(dir, "f.rejected")); code != 0 || err == nil {
		t.Errorf("exit %d, rejected file: %v; want 0 and none", code, err)
	}
}

func TestImportRetries(t *testing.T) {
	status := func(code int, after string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(code)
		}
	}
	hangUp := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	e := &fakeIngest{first: []func(http.ResponseWriter){status(503, ""), status(429, "1"), status(408, ""), hangUp, status(502, "")}}
	began := time.Now()
	code, stdout, stderr, _ := imported(t, e, []string{"--parallel", "1"}, map[string][]byte{"f": lines(2)})
	if code != 0 || len(e.got) != 2 || !strings.Contains(stdout, "trying again 5 times") {
		t.Errorf("exit %d, %d events\n%s%s", code, len(e.got), stdout, stderr)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("took %s although Retry-After was a second", took)
	}
}

func TestImportGivesUp(t *testing.T) {
	down := func(w http.ResponseWriter) { w.WriteHeader(503) }
	e := &fakeIngest{first: slices.Repeat([]func(http.ResponseWriter){down}, 100)}
	code, _, stderr, _ := imported(t, e, []string{"--retry-for", "300ms"}, map[string][]byte{"f": lines(2)})
	if code != 1 || !strings.Contains(stderr, "given up after") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestImportEndsAtOnceWhenTheKeyIsWrong(t *testing.T) {
	code, _, stderr, _ := imported(t, &fakeIngest{}, []string{"--key", "other"}, map[string][]byte{"f": lines(2)})
	if code != 1 || !strings.Contains(stderr, "no such key") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestImportHalvesRefusedBatches(t *testing.T) {
	tooLarge := func(w http.ResponseWriter) { w.WriteHeader(413) }
	e := &fakeIngest{first: []func(http.ResponseWriter){tooLarge, tooLarge}}
	code, _, stderr, _ := imported(t, e, []string{"--parallel", "1"}, map[string][]byte{"f": lines(8)})
	if code != 0 || len(e.got) != 8 || e.largest != 4 {
		t.Errorf("exit %d, %d events, at most %d at once: %s", code, len(e.got), e.largest, stderr)
	}
}

func TestImportStopsCleanly(t *testing.T) {
	e := &fakeIngest{}
	server := httptest.NewServer(e)
	defer server.Close()
	in, feed := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		_, _ = feed.Write(lines(1200))
		stop()
		_ = feed.Close()
	}()
	var out, errs bytes.Buffer
	p := &process{stdin: in, stdout: &out, stderr: &errs, environ: []string{"WEIR_SECRET=s"}}
	code := p.command(ctx, []string{"import", "--url", server.URL, "--key", "k", "-"})
	if code != 1 || !strings.Contains(errs.String(), "stopped before the end") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	if want := fmt.Sprintf("sent %d events", len(e.got)); !strings.HasPrefix(out.String(), want) {
		t.Errorf("summary %q, want %q: what was taken is counted", out.String(), want)
	}
}

func TestImportIDs(t *testing.T) {
	check := func(line, want string) {
		t.Helper()
		it := newItem(1, []byte(line), false)
		if it.bad != "" {
			t.Fatalf("%s: %s", line, it.bad)
		}
		got, err := it.event()
		if err != nil {
			t.Fatal(err)
		}
		if want = strings.ReplaceAll(want, "ID", it.contentID()); string(got) != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
	check(`{"euid":1}`, `{"random_id":"ID","euid":1}`)
	check(`{}`, `{"random_id":"ID"}`)
	check(`{ "a":{"random_id":"x"} , "b":[1,2]}`, `{"random_id":"ID","a":{"random_id":"x"} , "b":[1,2]}`)
	check(`{"a":1,"random_id":"mine","b":2}`, `{"a":1,"random_id":"mine","b":2}`)
	check(`{"a":1,"random_id" : "","b":2}`, `{"a":1,"random_id":"ID","b":2}`)
	check(`{"random_id":null}`, `{"random_id":"ID"}`)

	id := func(line string) string { return newItem(1, []byte(line), false).contentID() }
	// The id of a line never changes: a file that was sent by an older weir may be
	// sent again by this one.
	if got, want := id(`{"euid":1}`), "984793d9-6928-801a-8239-1365f37d5c31"; got != want {
		t.Errorf("id = %s, want %s", got, want)
	}
	if id(`{"euid":1}`) == id(`{"euid":2}`) {
		t.Error("two events have one id")
	}
}

func TestImportProgressLine(t *testing.T) {
	im := newImporter(importOptions{Parallel: 1}, "s")
	im.sent.Store(5000)
	im.read.Store(250)
	im.rejected.Store(2)
	p := &progress{im: im, total: 1000, terminal: true}
	if got, want := p.line(10*time.Second), "[======                  ]  25%  5000 events  500/s  30s left  2 rejected"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	p.total, p.terminal = 0, false
	if got, want := p.line(10*time.Second), "5000 events  500/s  2 rejected"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// FuzzImportLine parses arbitrary lines: each is rejected, or becomes an object
// with a random_id and all of its members.
func FuzzImportLine(f *testing.F) {
	for _, line := range []string{`{}`, `{"a":1}`, `{"random_id":""}`, `{"random_id" :null , "x":"\u0072"}`, `[]`, `{"\u0072andom_id":"x"}`, ` `} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		it := newItem(1, bytes.TrimSpace(line), false)
		if it.bad != "" || len(it.text) == 0 {
			return
		}
		var was, is map[string]any
		if err := json.Unmarshal(it.text, &was); err != nil {
			return // the standard library is stricter on numbers
		}
		event, err := it.event()
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if err := json.Unmarshal(event, &is); err != nil {
			t.Fatalf("%q became %q: %v", line, event, err)
		}
		if id, ok := is["random_id"]; !ok || id == nil || id == "" {
			t.Fatalf("%q became %q, without an id", line, event)
		}
		for name, value := range was {
			if name != "random_id" && fmt.Sprint(is[name]) != fmt.Sprint(value) {
				t.Fatalf("%q became %q", line, event)
			}
		}
	})
}

// TestSpellingsOfImportedFiles: "10.13 weir import". A byte order mark is skipped in
// every format, and UTF-16 is named.
func TestSpellingsOfImportedFiles(t *testing.T) {
	t.Run("10.13 byte order mark", func(t *testing.T) {
		var gz bytes.Buffer
		g := gzip.NewWriter(&gz)
		_, _ = g.Write(append([]byte(byteOrderMark), lines(2)...))
		_ = g.Close()
		e := &fakeIngest{}
		code, _, stderr, dir := imported(t, e, nil, map[string][]byte{
			"a.ndjson": append([]byte(byteOrderMark), lines(3)...), "b.gz": gz.Bytes(),
			"c.csv": []byte(byteOrderMark + rawHeader13 + "\r\n" + row("r-1", rawDay, 1, "a", "", 0, 1)),
		})
		if left, _ := filepath.Glob(filepath.Join(dir, "*.rejected")); code != 0 || len(e.got) != 6 || len(left) > 0 {
			t.Errorf("exit %d, %d events, left %v: %s", code, len(e.got), left, stderr)
		}
	})
	t.Run("10.13 UTF-16", func(t *testing.T) {
		wide := func(order binary.AppendByteOrder, mark bool, text string) (out []byte) {
			if mark {
				out = order.AppendUint16(out, 0xfeff)
			}
			for _, unit := range utf16.Encode([]rune(text)) {
				out = order.AppendUint16(out, unit)
			}
			return out
		}
		for name, text := range map[string][]byte{
			"little": wide(binary.LittleEndian, true, string(lines(1))), "big": wide(binary.BigEndian, true, string(lines(1))),
			"unmarked": wide(binary.LittleEndian, false, string(lines(1))), "csv": wide(binary.LittleEndian, true, rawHeader13),
		} {
			e := &fakeIngest{}
			code, _, stderr, _ := imported(t, e, nil, map[string][]byte{"f": text})
			if code != 1 || len(e.got) > 0 || !strings.Contains(stderr, "is UTF-16") {
				t.Errorf("%s: exit %d, %s", name, code, stderr)
			}
		}
	})
}
