//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"testing"
	"time"
)

// account is an account with its products and their keys.
type account struct {
	id       string
	token    string
	email    string
	password string
	keys     map[string]string // by product id
	secrets  map[string]string
}

// createAccount creates an account with products, a data source for each, a token over
// all of them and a user.
func (w *installation) createAccount(t *testing.T, products ...string) account {
	t.Helper()
	n := account{keys: map[string]string{}, secrets: map[string]string{}, password: "correct horse battery staple"}
	n.email = fmt.Sprintf("owner-of-%s@example.org", products[0])
	n.id = decoded[struct {
		AccountID string `json:"account_id"`
	}](t, w.admin(t, "account", "create", "--name", "owner of "+products[0])).AccountID
	for _, p := range products {
		w.admin(t, "product", "create", "--account", n.id, "--id", p, "--name", "product "+p)
		w.admin(t, "product", "set", "--id", p, "--euid-as-ref=true") // the suite knows clients by their EUIDs
		source := decoded[struct{ Key, Secret string }](t, w.admin(t, "source", "create", "--product", p))
		n.keys[p], n.secrets[p] = source.Key, source.Secret
	}
	n.token = decoded[struct{ Token string }](t, w.admin(t, "token", "create", "--account", n.id)).Token
	w.createUser(t, n)
	return n
}

func (w *installation) createUser(t *testing.T, n account) {
	t.Helper()
	args := append([]string{"admin", "user", "create", "--account", n.id, "--email", n.email, "--password-stdin", "--json"}, w.flags...)
	if out, err := runWithInput(w.env, n.password, binary, args...); err != nil {
		t.Fatalf("user create: %v\n%s", err, out)
	}
}

// importFile sends a file of events through the HTTP edge.
func (w *installation) importFile(t *testing.T, n account, product, file string, flags ...string) error {
	t.Helper()
	args := append([]string{"import", "--url", w.ingests[0].url, "--key", n.keys[product]}, flags...)
	_, err := weir(t, []string{"WEIR_SECRET=" + n.secrets[product]}, append(args, file)...)
	return err
}

// response is the status and header of an answer.
type response struct {
	status int
	header http.Header
}

// post sends JSON and decodes a JSON answer.
func post[T any](t *testing.T, client *http.Client, url, bearer string, body any) (answer T, about response, err error) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer, about, err
	}
	defer resp.Body.Close()
	about = response{status: resp.StatusCode, header: resp.Header}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer, about, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer, about, fmt.Errorf("%s: %d %s", url, resp.StatusCode, got)
	}
	return answer, about, json.Unmarshal(got, &answer)
}

// page is an answer of the Events API.
type page struct {
	Paging struct {
		TotalCount int64
		LastPage   bool
	}
	Results []struct {
		ID       string
		Name     string
		Datetime int64
		TenantID string `json:"tenantId"`
	}
}

// listEvents asks the Events API of query process i.
func (w *installation) listEvents(t *testing.T, i int, token string, question map[string]any) (page, http.Header) {
	t.Helper()
	answer, about, err := post[page](t, http.DefaultClient, w.queries[i%len(w.queries)].url+"/analytics/api/v1/events", token, question)
	if err != nil {
		t.Fatal(err)
	}
	return answer, about.header
}

// countEvents asks the Events API how many events there are from one date to another.
func (w *installation) countEvents(t *testing.T, i int, token, from, to string, names ...string) int64 {
	t.Helper()
	question := map[string]any{"startDate": from, "endDate": to, "paging": map[string]int{"page": 1, "perPage": 1}}
	if len(names) > 0 {
		question["filters"] = map[string]any{"name": names}
	}
	answer, _ := w.listEvents(t, i, token, question)
	return answer.Paging.TotalCount
}

// logIn logs in to the Reporting API as its published client does: without a
// CSRF call first, and again when the cookie is missing.
func (w *installation) logIn(t *testing.T, i int, n account) (*http.Client, string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, url := &http.Client{Jar: jar}, w.queries[i%len(w.queries)].url
	login := map[string]string{"userName": n.email, "password": n.password}
	if _, about, err := post[any](t, client, url+"/v3/auth/web", "", login); about.status != http.StatusBadRequest {
		t.Fatalf("login without the cookie: %v, want 400", err)
	}
	if _, _, err := post[any](t, client, url+"/v3/auth/web", "", login); err != nil {
		t.Fatal(err)
	}
	return client, url
}

// get fetches url, which must answer 200, into a file.
func get(t *testing.T, client *http.Client, url, file string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, resp.StatusCode, err)
	}
}

// statusOf returns the status that a GET of url answers.
func statusOf(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// sendEvent sends one event and returns when it is acknowledged.
func (w *installation) sendEvent(t *testing.T, n account, product, name string, at time.Time) {
	t.Helper()
	body := fmt.Sprintf(`{"data":[{"euid":77,"event_name":%q,"itime":%d}]}`, name, at.UnixMilli())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.ingests[0].url+"/v1/event/report", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(n.keys[product], n.secrets[product])
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("report: %d %s", resp.StatusCode, got)
	}
}
