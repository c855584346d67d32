package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/schemas"
)

// publicClient behaves as the one public client of the published API does
// (contracts/reporting-api.md §1): it never asks for a CSRF cookie, tries again
// after an error, sends Basic credentials beside its cookies and looks at the
// status alone.
type publicClient struct {
	t    *testing.T
	http *http.Client
	url  string
}

func newPublicClient(t *testing.T, h http.Handler) *publicClient {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &publicClient{t: t, http: &http.Client{Jar: jar}, url: server.URL}
}

func (c *publicClient) send(method, path string, body any) (int, []byte) {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	r.SetBasicAuth("ann@example.org", worldPassword)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("RUI-Client", "reveneraR")
	r.Header.Set("Origin", publishedOrigin)
	answer, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	out, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, out
}

// retry is send, up to four times.
func (c *publicClient) retry(method, path string, body any) []byte {
	c.t.Helper()
	for try := 1; ; try++ {
		status, out := c.send(method, path, body)
		if status == http.StatusOK || status == http.StatusNoContent {
			return out
		}
		if try == 4 {
			c.t.Fatalf("%s %s: %d %s", method, path, status, out)
		}
	}
}

func read[T any](t *testing.T, text []byte) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func TestPublicClient(t *testing.T) {
	w := newExportWorld(t, Config{})
	w.reporting.reports.pageSize = 2
	now := time.Now()
	var sent []schemas.Event
	for client := int64(1); client <= 5; client++ {
		e := event(1001, "Open")
		e.Client, e.Time, e.RandomID = client, now.UnixMilli(), fmt.Sprint(client)
		sent = append(sent, e)
	}
	w.arrive(0, now, sent...)
	c := newPublicClient(t, w.Handler())
	login := map[string]string{"userName": "ann@example.org", "password": worldPassword}
	if status, out := c.send(http.MethodPost, "/v3/auth/web", login); status != http.StatusBadRequest || !strings.Contains(string(out), "Cookie Missing") {
		t.Fatalf("the first try: %d %s", status, out)
	}
	c.retry(http.MethodPost, "/v3/auth/web", login)

	properties := read[struct {
		Result []struct {
			Category   string
			Properties []struct{ Name, FriendlyName, FilterType, DataType string }
		}
	}](t, c.retry(http.MethodGet, "/v3/meta/productProperties/1001", nil))
	if len(properties.Result) == 0 || len(properties.Result[0].Properties) == 0 {
		t.Errorf("properties = %v", properties)
	}
	events := read[struct {
		Result []struct {
			Category           *string
			CategoryEventNames []struct {
				EventName     string
				DateFirstSeen string
			}
		}
	}](t, c.retry(http.MethodGet, "/v3/event-tracking/1001", nil))
	if len(events.Result) != 1 || events.Result[0].CategoryEventNames[0].EventName != "Open" {
		t.Errorf("events = %v", events)
	}

	day := now.UTC().Format(time.DateOnly)
	users := read[struct{ Result map[string]map[string]int }](t, c.retry(http.MethodPost, "/v3/reporting/generic/dateRange/1001", map[string]any{
		"user": "ann@example.org", "startDate": day, "stopDate": day, "dateSplit": "day", "clientStatus": []string{"active", "new", "lost"},
		"daysUntilDeclaredLost": 30, "dateReportedLost": "dateLastSeen", "globalFilters": map[string]any{}, "groupBy": "clientId",
	}))
	if users.Result[day]["active"] != 5 || users.Result[day]["new"] != 5 {
		t.Errorf("users = %v", users)
	}

	var clients []string
	for at, more := any(nil), true; more; {
		page := read[struct {
			Result       []map[string]any
			ReachedEnd   bool
			NextClientID string `json:"nextClientId"`
		}](t, c.retry(http.MethodPost, "/v3/reporting/clientPropertyList/1001", map[string]any{
			"startAtClientId": at, "properties": []string{"prodVersion"}, "globalFilters": map[string]any{},
		}))
		for _, one := range page.Result {
			clients = append(clients, fmt.Sprint(one["clientId"], " ", one["prodVersion"]))
		}
		at, more = page.NextClientID, !page.ReachedEnd
	}
	if want := []string{"1 3.1", "2 3.1", "3 3.1", "4 3.1", "5 3.1"}; !slices.Equal(clients, want) {
		t.Errorf("clients = %q, want %q", clients, want)
	}

	files := read[struct {
		FileList []struct{ FileName, FileDate string }
	}](t, c.retry(http.MethodGet, "/v3/rawEvents/download/listFiles/1001", nil))
	if len(files.FileList) == 0 {
		t.Fatal("no raw file is listed")
	}
	link := string(c.retry(http.MethodPost, "/v3/rawEvents/download/getDownloadUrl/1001", map[string]string{"fileName": files.FileList[0].FileName}))
	if !strings.HasPrefix(link, `{"downloadUrl":"http`) {
		t.Errorf("the link is not the first member: %s", link)
	}
	c.retry(http.MethodPost, "/v3/auth/logout", login)
	if status, _ := c.send(http.MethodGet, "/v3/event-tracking/1001", nil); status != http.StatusUnauthorized {
		t.Errorf("after the logout: %d", status)
	}
}
