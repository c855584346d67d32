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

// tenant is an account of its own with its products and the keys to them.
type tenant struct {
	account  string
	token    string
	email    string
	password string
	keys     map[string]string // by product id
	secrets  map[string]string
}

// tenant makes an account with products, a data source for each, a token over
// all of them and a user.
func (w *world) tenant(t *testing.T, products ...string) tenant {
	t.Helper()
	n := tenant{keys: map[string]string{}, secrets: map[string]string{}, password: "correct horse battery staple"}
	n.email = fmt.Sprintf("owner-of-%s@example.org", products[0])
	n.account = decoded[struct {
		AccountID string `json:"account_id"`
	}](t, w.admin(t, "account", "create", "--name", "owner of "+products[0])).AccountID
	for _, p := range products {
		w.admin(t, "product", "create", "--account", n.account, "--id", p, "--name", "product "+p)
		source := decoded[struct{ Key, Secret string }](t, w.admin(t, "source", "create", "--product", p))
		n.keys[p], n.secrets[p] = source.Key, source.Secret
	}
	n.token = decoded[struct{ Token string }](t, w.admin(t, "token", "create", "--account", n.account)).Token
	w.user(t, n)
	return n
}

func (w *world) user(t *testing.T, n tenant) {
	t.Helper()
	args := append([]string{"admin", "user", "create", "--account", n.account, "--email", n.email, "--password-stdin", "--json"}, w.reach...)
	if out, err := runWithInput(w.env, n.password, binary, args...); err != nil {
		t.Fatalf("user create: %v\n%s", err, out)
	}
}

// importFile sends a file of events through the HTTP edge.
func (w *world) importFile(t *testing.T, n tenant, product, file string, flags ...string) error {
	t.Helper()
	args := append([]string{"import", "--url", w.edges[0].url, "--key", n.keys[product]}, flags...)
	_, err := weir(t, []string{"WEIR_SECRET=" + n.secrets[product]}, append(args, file)...)
	return err
}

// reply is what an answer says besides its body.
type reply struct {
	status int
	header http.Header
}

// post sends JSON and decodes a JSON answer.
func post[T any](t *testing.T, client *http.Client, url, bearer string, body any) (answer T, about reply, err error) {
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
	about = reply{status: resp.StatusCode, header: resp.Header}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer, about, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer, about, fmt.Errorf("%s: %d %s", url, resp.StatusCode, got)
	}
	return answer, about, json.Unmarshal(got, &answer)
}

// page is a response of the Events API.
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

// ask sends a request of the Events API to query process i.
func (w *world) ask(t *testing.T, i int, token string, question map[string]any) (page, http.Header) {
	t.Helper()
	answer, about, err := post[page](t, http.DefaultClient, w.answerers[i%len(w.answerers)].url+"/analytics/api/v1/events", token, question)
	if err != nil {
		t.Fatal(err)
	}
	return answer, about.header
}

// total returns how many events the Events API counts from one date to another.
func (w *world) total(t *testing.T, i int, token, from, to string, names ...string) int64 {
	t.Helper()
	question := map[string]any{"startDate": from, "endDate": to, "paging": map[string]int{"page": 1, "perPage": 1}}
	if len(names) > 0 {
		question["filters"] = map[string]any{"name": names}
	}
	answer, _ := w.ask(t, i, token, question)
	return answer.Paging.TotalCount
}

// session logs in to the Reporting API as its existing client does: no CSRF call first,
// and again when the cookie is missing.
func (w *world) session(t *testing.T, i int, n tenant) (*http.Client, string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, url := &http.Client{Jar: jar}, w.answerers[i%len(w.answerers)].url
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

// statusOf is what a GET of url answers.
func statusOf(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// report sends one event and returns when it is acknowledged.
func (w *world) report(t *testing.T, n tenant, product, name string, at time.Time) {
	t.Helper()
	body := fmt.Sprintf(`{"data":[{"euid":77,"event_name":%q,"itime":%d}]}`, name, at.UnixMilli())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.edges[0].url+"/v1/event/report", strings.NewReader(body))
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
