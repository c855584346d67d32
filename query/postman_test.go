package query

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/schemas"
	"weir/schemas/openapi"
	"weir/schemas/openapi/openapitest"
)

// postmanCollection has what Postman reads of a collection of the format v2.1.
type postmanCollection struct {
	Info struct{ Name, Description, Schema string }
	Item []struct {
		Name string
		Item []struct {
			Name    string
			Request struct {
				Method      string
				Header      []struct{ Key, Value string }
				Description string
				URL         struct {
					Raw        string
					Host, Path []string
				}
				Body *struct {
					Mode, Raw string
					Options   struct{ Raw struct{ Language string } }
				}
			}
			Response []struct{}
		}
	}
	Event []struct {
		Listen string
		Script struct {
			Type string
			Exec []string
		}
	}
	Variable []struct{ Key, Value string }
}

func readPostman(t *testing.T) postmanCollection {
	t.Helper()
	text, err := openapi.Postman()
	if err != nil {
		t.Fatal(err)
	}
	var c postmanCollection
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPostmanCollectionIsPlayed sends every request of the collection in its order,
// as Postman does, to a server that has some events: none is an error, and every
// request of the document is among them.
func TestPostmanCollectionIsPlayed(t *testing.T) {
	w, now := newExportWorld(t, Config{}), time.Now()
	var sent []schemas.Event
	for _, name := range []string{"view", "session_start", "search"} {
		e := event(1001, name)
		e.Time, e.RandomID = now.UnixMilli(), name
		sent = append(sent, e)
	}
	crash := exception("TypeError")
	crash.Time = now.UnixMilli()
	w.arrive(0, now, append(sent, crash)...)
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	variables := strings.NewReplacer("{{base_url}}", server.URL, "{{product_id}}", "1001", "{{username}}", "ann@example.org",
		"{{password}}", worldPassword, "{{today}}", now.UTC().Format(time.DateOnly))
	var played []string
	for _, folder := range readPostman(t).Item {
		for _, item := range folder.Item {
			r := item.Request
			if r.URL.Raw != strings.Join(append(r.URL.Host, r.URL.Path...), "/") || r.Description == "" || item.Response == nil {
				t.Errorf("%s: url %+v, description %q", item.Name, r.URL, r.Description)
			}
			var body io.Reader
			if r.Body != nil {
				body = strings.NewReader(variables.Replace(r.Body.Raw))
			}
			request, err := http.NewRequestWithContext(t.Context(), r.Method, variables.Replace(r.URL.Raw), body)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range r.Header {
				request.Header.Set(h.Key, variables.Replace(h.Value))
			}
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode >= 300 || strings.Contains(string(text), "{{") {
				t.Errorf("%s / %s: %d %s, %v", folder.Name, item.Name, answer.StatusCode, text, err)
			}
			played = append(played, r.Method+" "+strings.ReplaceAll("/"+strings.Join(r.URL.Path, "/"), "{{product_id}}", "{product_id}"))
		}
	}
	checkPlayed(t, played)
}

// checkPlayed requires that requests are those of the document, each once, from the
// CSRF cookie and the login to the logout.
func checkPlayed(t *testing.T, played []string) {
	t.Helper()
	documents, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, operation := range documents.Operations() {
		if strings.Contains(operation, " /v3/") && !strings.HasPrefix(operation, http.MethodOptions) {
			want = append(want, operation)
		}
	}
	if len(played) < 3 || played[0] != "GET /v3/request-csrf" || played[1] != "POST /v3/auth/web" || played[len(played)-1] != "POST /v3/auth/logout" {
		t.Errorf("the order is %q", played)
	}
	slices.Sort(want)
	slices.Sort(played)
	if !slices.Equal(want, played) {
		t.Errorf("requests are %q, want those of the document %q", played, want)
	}
}

// TestPostmanFolders are those of the published document, in its order; the login
// comes first and the logout last.
func TestPostmanFolders(t *testing.T) {
	c := readPostman(t)
	var folders []string
	for _, folder := range c.Item {
		folders = append(folders, folder.Name)
	}
	want := []string{
		"Auth", "Metadata Queries", "Event Tracking Management", "Generic Reports", "User Engagement Histogram", "Event Tracking Reports",
		"Churn-Related Reports", "License Key Registry Management", "Custom Event Tracking", "Exception Tracking", "Client Profile Report",
		"Raw Data Exports", "Logout",
	}
	if !slices.Equal(folders, want) || c.Info.Schema != "https://schema.getpostman.com/json/collection/v2.1.0/collection.json" {
		t.Errorf("folders %q of schema %s", folders, c.Info.Schema)
	}
}

// TestPostmanNamesSayWhatIsWritten: Postman plays a folder at one click, so the name
// of a request that changes the product has what its body writes.
func TestPostmanNamesSayWhatIsWritten(t *testing.T) {
	written := 0
	for _, folder := range readPostman(t).Item {
		for _, item := range folder.Item {
			if item.Request.Method != http.MethodPatch && !strings.Contains(item.Request.URL.Raw, "/update/") {
				continue
			}
			written++
			var body struct {
				KeyUpdates   []struct{ LicenseKey string }
				EventUpdates []struct{ Category, EventName string }
			}
			if err := json.Unmarshal([]byte(item.Request.Body.Raw), &body); err != nil {
				t.Fatal(err)
			}
			for _, key := range body.KeyUpdates {
				if !strings.Contains(item.Name, "writes "+key.LicenseKey) {
					t.Errorf("%q writes %s", item.Name, key.LicenseKey)
				}
			}
			for _, e := range body.EventUpdates {
				if !strings.Contains(item.Name, "sets the flags of "+e.Category+" / "+e.EventName) {
					t.Errorf("%q sets the flags of %+v", item.Name, e)
				}
			}
		}
	}
	if written != 3 {
		t.Errorf("%d requests write, want 3", written)
	}
}
