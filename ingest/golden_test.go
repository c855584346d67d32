package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
	"weir/schemas/openapi/openapitest"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// TestGolden sends the requests of each testdata/*.txtar, and of testdata/documents,
// which has the published examples, in order to one service
// and compares the answers and, at the end, the records in the log. A request is
// raw HTTP; "Key: K" stands for the Basic authorization of data source K.
// Generated ids are shown as <made>.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	published, badPattern := filepath.Glob("testdata/documents/*.txtar")
	if err != nil || badPattern != nil || len(files) == 0 || len(published) == 0 {
		t.Fatalf("no testdata: %v, %v", err, badPattern)
	}
	files = append(files, published...)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runGolden(t, file) })
		})
	}
}

func runGolden(t *testing.T, file string) {
	want, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := newTestEdge(t, Config{AllowedOrigins: []string{"https://example.com"}})
	got := &txtar.Archive{Comment: want.Comment}
	for _, f := range want.Files {
		if name, ok := strings.CutPrefix(f.Name, "request "); ok {
			got.Files = append(got.Files, f, txtar.File{Name: "answer " + name, Data: e.roundTrip(t, f.Data)})
		}
	}
	got.Files = append(got.Files, txtar.File{Name: "log", Data: e.formatLog(string(txtar.Format(want)))})
	text := txtar.Format(got)
	if *update {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(want)), string(text)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// roundTrip sends one request and formats its answer.
func (e *testEdge) roundTrip(t *testing.T, request []byte) []byte {
	t.Helper()
	head, body, _ := bytes.Cut(request, []byte("\n\n"))
	body = bytes.TrimSuffix(body, []byte("\n"))
	wire := fmt.Sprintf("%s\nHost: weir\nContent-Length: %d\n\n%s", head, len(body), body)
	first, rest, _ := strings.Cut(wire, "\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(first + " HTTP/1.1\n" + rest)))
	if err != nil {
		t.Fatal(err)
	}
	if key := r.Header.Get("Key"); key != "" {
		r.SetBasicAuth(key, key+"-secret")
	}
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r.WithContext(t.Context()))

	var b bytes.Buffer
	answer := w.Result()
	defer answer.Body.Close()
	fmt.Fprintln(&b, answer.Status)
	var names []string
	for name := range answer.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		value := strings.Join(answer.Header[name], ", ")
		if name == "X-Request-Id" && r.Header.Get(name) != value {
			value = "<made>"
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "\n%s\n", text)
	return b.Bytes()
}

var madeID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// formatLog returns every event and change in the log, one per line.
func (e *testEdge) formatLog(script string) []byte {
	e.t.Helper()
	var lines []string
	events, changes := e.storedRecords()
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%s of client %d of product %d: %s %s", c.Kind, c.Client, c.Product, c.Operation, c.Values))
	}
	for _, event := range events {
		line, err := json.Marshal(readable(event))
		if err != nil {
			e.t.Fatal(err)
		}
		lines = append(lines, madeID.ReplaceAllStringFunc(string(line), func(id string) string {
			if strings.Contains(script, id) {
				return id
			}
			return "<made>"
		}))
	}
	sort.Strings(lines)
	return []byte(strings.Join(append(lines, ""), "\n"))
}

// readable returns the event in the form of the golden files.
func readable(e schemas.Event) any {
	var value jsontext.Value
	if e.Value != nil {
		value = schemas.AppendDecimal(nil, *e.Value, schemas.ValueScale)
	}
	return struct {
		Product   int64              `json:"product"`
		Client    int64              `json:"client"`
		Time      int64              `json:"time"`
		Name      string             `json:"name"`
		RandomID  string             `json:"random_id"`
		Category  *string            `json:"category,omitempty"`
		Value     jsontext.Value     `json:"value,omitempty"`
		Session   string             `json:"session_id,omitempty"`
		Runtime   *int64             `json:"runtime_ms,omitempty"`
		AppKey    string             `json:"app_key,omitempty"`
		App       string             `json:"app_name,omitempty"`
		Version   string             `json:"app_version,omitempty"`
		Content   string             `json:"content_locale,omitempty"`
		UI        string             `json:"ui_locale,omitempty"`
		Offline   *bool              `json:"offline,omitempty"`
		Agent     string             `json:"user_agent,omitempty"`
		IP        string             `json:"ip,omitempty"`
		User      jsontext.Value     `json:"user,omitempty"`
		Props     jsontext.Value     `json:"client_props,omitempty"`
		Exception *schemas.Exception `json:"exception,omitempty"`
		Own       jsontext.Value     `json:"properties,omitempty"`
	}{
		e.Product, e.Client, e.Time, e.Name, e.RandomID, e.Category, value, e.SessionID, e.RuntimeMS, e.AppKey, e.AppName,
		e.AppVersion, e.ContentLocale, e.UILocale, e.Offline, e.UserAgent, e.IP, e.User, e.ClientProps, e.Exception, e.Properties,
	}
}

// TestErrorsShowLittleOfLongTexts sends the published requests, and ours, with a long
// text in the place of each of their parts. No answer echoes it.
func TestErrorsShowLittleOfLongTexts(t *testing.T) {
	files, err := filepath.Glob("testdata/documents/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	requests := []string{
		"POST /v1/user/register\nKey: key1\nContent-Type: application/json\n\n" + `{"identity_name":"user_id","identity_values":["a"]}`,
		"POST /weir/v1/identities\nKey: key1\nContent-Type: application/json\n\n" + `{"identities":[{"names":{"user_id":"a","ref_id":"b"}}]}`,
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasPrefix(f.Name, "request ") {
				requests = append(requests, string(f.Data))
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		e, seen := newTestEdge(t, Config{}), map[string]bool{}
		refused := 0
		for _, request := range requests {
			for what, variant := range openapitest.WithLongTexts(request, seen) {
				answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 "+string(e.roundTrip(t, []byte(variant))))), nil)
				if err != nil {
					t.Fatal(what, err)
				}
				body, err := io.ReadAll(answer.Body)
				if err := errors.Join(err, answer.Body.Close()); err != nil {
					t.Fatal(what, err)
				}
				if openapitest.CheckErrorTexts(t, what, answer.StatusCode, answer.Header, body) {
					refused++
				}
			}
		}
		if t.Logf("%d of %d variants are refused", refused, len(seen)); refused < len(seen)/4 || refused < 50 {
			t.Errorf("%d of %d variants are refused, want many", refused, len(seen))
		}
	})
}
