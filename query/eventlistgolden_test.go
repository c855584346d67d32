package query

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/registry"
)

var update = flag.Bool("update", false, "write the answers of testdata/lists as they are now")

// goldenEvent is a line of the section `events`.
type goldenEvent struct {
	Shard      int32           `json:"shard"`
	Product    int64           `json:"product"`
	Client     int64           `json:"client"`
	Time       int64           `json:"time"`
	Name       string          `json:"name"`
	ID         string          `json:"id"`
	Session    string          `json:"session"`
	App        string          `json:"app"`
	AppKey     string          `json:"app_key"`
	AppVersion string          `json:"app_version"`
	Content    string          `json:"content_locale"`
	UI         string          `json:"ui_locale"`
	Offline    *bool           `json:"offline"`
	Agent      string          `json:"user_agent"`
	IP         string          `json:"ip"`
	User       json.RawMessage `json:"user"`
	Exception  string          `json:"exception"` // its class
	Properties json.RawMessage `json:"properties"`
}

// TestEventListGoldens plays the scripts of testdata/lists, and those of
// testdata/documents with the published examples. A script has events, one JSON
// object a line; identities, one `product name value euid` a line; and any number
// of requests, each followed by its answer; both may have a name. A request may begin with
// `# break the lake`: from there on its data files are gone. {A} stands for a
// token of an account with products 1 to 3, {B} for one of product 9.
func TestEventListGoldens(t *testing.T) {
	scripts, err := filepath.Glob("testdata/lists/*.txtar")
	published, badPattern := filepath.Glob("testdata/documents/list_*.txtar")
	if err != nil || badPattern != nil || len(scripts) == 0 || len(published) == 0 {
		t.Fatal("no scripts", err, badPattern)
	}
	scripts = append(scripts, published...)
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { playGolden(t, path) })
	}
}

func playGolden(t *testing.T, path string) {
	script, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newListWorld(t, Config{})
	for _, id := range []int64{1, 2, 3, 9} {
		w.switchEUIDAsRef(id, false)
	}
	var request string
	for i := range script.Files {
		section := &script.Files[i]
		kind, _, _ := strings.Cut(section.Name, " ")
		switch kind {
		case "events":
			w.goldenEvents(section.Data)
		case "euid-as-ref":
			for word := range strings.FieldsSeq(string(section.Data)) {
				product, err := strconv.ParseInt(word, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				w.switchEUIDAsRef(product, true)
			}
		case "identities":
			w.goldenIdentities(string(section.Data))
		case "request":
			request = string(section.Data)
		case "answer":
			got := w.goldenAnswer(request)
			if *update {
				section.Data = []byte(got)
			} else if diff := cmp.Diff(string(section.Data), got); diff != "" {
				t.Errorf("%s\n%s\n(-want +got):\n%s", section.Name, request, diff)
			}
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// goldenEvents puts the events into the world, every other one committed.
func (w *listWorld) goldenEvents(lines []byte) {
	w.t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(lines)); s.Scan(); {
		var e goldenEvent
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			w.t.Fatalf("%s: %v", s.Text(), err)
		}
		var exception *schemas.Exception
		if e.Exception != "" {
			exception = &schemas.Exception{Class: e.Exception}
		}
		w.append(e.Shard, schemas.Event{
			Product: e.Product, Client: e.Client, Time: e.Time, Name: e.Name, RandomID: e.ID, SessionID: e.Session,
			AppName: e.App, AppKey: e.AppKey, AppVersion: e.AppVersion, ContentLocale: e.Content, UILocale: e.UI, Offline: e.Offline,
			UserAgent: e.Agent, IP: e.IP, User: e.User, Properties: e.Properties, Exception: exception,
		})
		if h := w.shards[e.Shard]; h.next%2 == 0 {
			w.commit(e.Shard, h.next)
		}
	}
}

func (w *listWorld) goldenIdentities(lines string) {
	w.t.Helper()
	for line := range strings.Lines(lines) {
		var id registry.Identity
		if _, err := fmt.Sscan(line, &id.Product, &id.Name, &id.Value, &id.EUID); err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
		if err := w.deps.Registry.LinkIdentity(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
	}
}

// send sends a request as the scripts have it.
func (w *listWorld) send(request string) *httptest.ResponseRecorder {
	w.t.Helper()
	for name, token := range w.tokens {
		request = strings.ReplaceAll(request, "{"+name+"}", token)
	}
	head, body, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

// goldenAnswer sends a request and spells its answer: status, headers that are
// part of the contract, and the body, indented if it is long.
func (w *listWorld) goldenAnswer(request string) string {
	w.t.Helper()
	if rest, broken := strings.CutPrefix(request, "# break the lake\n"); broken {
		request = rest
		w.breakLake()
	}
	rec := w.send(request)
	var out strings.Builder
	fmt.Fprintln(&out, rec.Code, http.StatusText(rec.Code))
	for _, name := range []string{"Content-Type", headerWatermark, headerAsOf, headerPartial, headerError, "WWW-Authenticate", "Allow"} {
		if v := rec.Header().Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	text := jsontext.Value(bytes.TrimSpace(rec.Body.Bytes()))
	if len(text) > 120 {
		if err := text.Indent(jsontext.WithIndent("  ")); err != nil {
			w.t.Errorf("%s: %v", text, err)
		}
	}
	fmt.Fprintf(&out, "\n%s\n", text)
	return out.String()
}

// breakLake loses every data file.
func (w *listWorld) breakLake() {
	w.t.Helper()
	snap, err := w.deps.Lake.Load(w.t.Context(), lake.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	files, err := snap.Files(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		if err := w.lake.Store.Delete(w.t.Context(), f.Path); err != nil {
			w.t.Fatal(err)
		}
	}
}
