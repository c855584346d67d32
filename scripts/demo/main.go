// Command demo sends a small believable sample to a running `weir all` and
// shows real answers, each under the curl line that gets it. `make demo` runs
// it; it reads the credentials from DIR/demo.json.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// credentials are those that the first start of a data folder created.
type credentials struct {
	URL      string `json:"url"`
	Product  string `json:"product_id"`
	Key      string `json:"key"`
	Secret   string `json:"secret"`
	Token    string `json:"token"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir := "weir-data"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	who, err := readCredentials(filepath.Join(dir, "demo.json"))
	if err != nil {
		return err
	}
	if err := checkReady(ctx, who); err != nil {
		return err
	}
	if err := send(ctx, who); err != nil {
		return err
	}
	time.Sleep(time.Second) // after this time every answer includes the acknowledged events
	return showAnswers(ctx, who)
}

// readCredentials reads the file that the first start of `weir all` writes.
func readCredentials(path string) (credentials, error) {
	var who credentials
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own data folder
	if errors.Is(err, fs.ErrNotExist) {
		return who, fmt.Errorf("%s does not exist: run `make run` in another terminal first", path)
	}
	if err != nil {
		return who, err
	}
	if err := json.Unmarshal(text, &who); err != nil {
		return who, fmt.Errorf("read %s: %w", path, err)
	}
	return who, nil
}

// checkReady returns an error that says what to do unless the server is ready.
func checkReady(ctx context.Context, who credentials) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, who.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no server answers at %s: run `make run` in another terminal first", who.URL)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("%s: %s, try again in a moment", who.URL, bytes.TrimSpace(text))
	}
	return nil
}

// send generates 30 days of events that end yesterday, and imports them. Another run on
// the same day generates the same events, which Weir drops as duplicates.
func send(ctx context.Context, who credentials) error {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system's temporary folder is cleaned anyway
	file := filepath.Join(dir, "sample.ndjson")
	if err := command(ctx, nil, "go", "run", "./scripts/loadgen", "--product", who.Product, "--seed", "7", "--start", "today",
		"--days", "30", "--events", "20000", "--clients", "300", "--out", file); err != nil {
		return err
	}
	fmt.Printf("\n$ WEIR_SECRET=… bin/weir import --url %s --key %s sample.ndjson\n", who.URL, who.Key)
	return command(ctx, []string{"WEIR_SECRET=" + who.Secret}, "bin/weir", "import", "--url", who.URL, "--key", who.Key, file)
}

func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // go and bin/weir, with our own arguments
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// showAnswers sends requests of the Events API, the User Events API and the
// Reporting API, and prints each with its response.
func showAnswers(ctx context.Context, who credentials) error {
	monthAgo := time.Now().UTC().AddDate(0, 0, -31).Format(time.DateOnly)
	fmt.Println("\nHow many events are there, and what is the latest one?")
	latest, err := postWithToken(ctx, who, "/analytics/api/v1/events",
		fmt.Sprintf(`{"startDate": %q, "paging": {"page": 1, "perPage": 1}}`, monthAgo))
	if err != nil {
		return err
	}
	fmt.Println("\nHow many sessions began?")
	if _, err := postWithToken(ctx, who, "/analytics/api/v1/events",
		fmt.Sprintf(`{"startDate": %q, "filters": {"name": ["session_start"]}, "paging": {"page": 1, "perPage": 1}}`, monthAgo)); err != nil {
		return err
	}
	client, err := firstClient(latest)
	if err != nil {
		return err
	}
	fmt.Println("\nWhich name shall the client of that latest event have in your own system?")
	if err := postWithKey(ctx, who, "/weir/v1/identities",
		fmt.Sprintf(`{"identities": [{"euid": %s, "names": {"ref_id": "R-%[1]s"}}]}`, client)); err != nil {
		return err
	}
	fmt.Println("\nWhen did it use the product in its last days?")
	_, err = postWithToken(ctx, who, "/api/v3/business/report/event/user", fmt.Sprintf(`{"refId": "R-%s", "from": "%sT00:00:00.000Z", "until": "%sT23:59:59.999Z"}`,
		client, time.Now().UTC().AddDate(0, 0, -3).Format(time.DateOnly), time.Now().UTC().Format(time.DateOnly)))
	if err != nil {
		return err
	}
	return showReports(ctx, who)
}

// showReports logs in to the Reporting API and requests two reports.
func showReports(ctx context.Context, who credentials) error {
	login, err := json.Marshal(map[string]string{"userName": who.Email, "password": who.Password})
	if err != nil {
		return err
	}
	csrf := &http.Cookie{Name: "RUI-Csrf", Value: "demo"} //nolint:gosec // sent, not set; any value will do
	resp, err := post(ctx, who.URL+"/v3/auth/web", login, func(r *http.Request) { r.AddCookie(csrf) })
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("log in as %s: %s", who.Email, resp.Status)
	}
	session := func(r *http.Request) {
		for _, c := range resp.Cookies() {
			r.AddCookie(c)
		}
	}
	for _, q := range []struct{ about, path, body string }{
		{
			"How many clients were new, active and lost in each week?", "/v3/reporting/generic/dateRange/" + who.Product,
			`{"startDate":"NOW-30","stopDate":"NOW","dateSplit":"week","clientStatus":["new","active","lost"],"daysUntilDeclaredLost":7,"dateReportedLost":"dateLastSeen"}`,
		},
		{
			"On how many days, in how many sessions and for how long did clients use the product?",
			"/v3/reporting/engagement/usageDistribution/" + who.Product, `{"startDate":"NOW-30","stopDate":"NOW"}`,
		},
	} {
		fmt.Printf("\n%s\n$ curl -b weir.cookies -H 'Content-Type: application/json' \\\n    %s%s -d '%s'\n", q.about, who.URL, q.path, q.body)
		if _, err := postAndPrint(ctx, who.URL+q.path, q.body, session); err != nil {
			return err
		}
	}
	return nil
}

// firstClient returns the EUID of the first event of a list: the sample's users are
// named u and their EUID.
func firstClient(answer []byte) (string, error) {
	var list struct {
		Results []struct {
			User struct {
				ID string `json:"id"`
			} `json:"user"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &list); err != nil || len(list.Results) == 0 {
		return "", fmt.Errorf("no event in %s: %w", answer, err)
	}
	return string(bytes.TrimPrefix([]byte(list.Results[0].User.ID), []byte("u"))), nil
}

// postWithToken prints the curl line of a request, sends it, and prints the beginning
// of the response.
func postWithToken(ctx context.Context, who credentials, path, question string) ([]byte, error) {
	fmt.Printf("$ curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \\\n    %s%s -d '%s'\n", who.Token, who.URL, path, question)
	return postAndPrint(ctx, who.URL+path, question, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+who.Token) })
}

// postWithKey is postWithToken with the key of the data source.
func postWithKey(ctx context.Context, who credentials, path, body string) error {
	fmt.Printf("$ curl -u '%s:…' -H 'Content-Type: application/json' \\\n    %s%s -d '%s'\n", who.Key, who.URL, path, body)
	_, err := postAndPrint(ctx, who.URL+path, body, func(r *http.Request) { r.SetBasicAuth(who.Key, who.Secret) })
	return err
}

func post(ctx context.Context, url string, body []byte, sign func(*http.Request)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	sign(req)
	return http.DefaultClient.Do(req)
}

// postAndPrint sends a request and prints the beginning of the response.
func postAndPrint(ctx context.Context, url, question string, sign func(*http.Request)) ([]byte, error) {
	resp, err := post(ctx, url, []byte(question), sign)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", url, resp.StatusCode, answer)
	}
	printed := answer
	if len(printed) > 1500 {
		printed = append(bytes.Clone(printed[:1500]), " …"...)
	}
	fmt.Printf("%s\n", printed)
	if mark := resp.Header.Get("Weir-Watermark"); mark != "" {
		fmt.Printf("  as of %s, watermark %s\n", resp.Header.Get("Weir-As-Of"), mark)
	}
	return answer, nil
}
