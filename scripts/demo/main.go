// Command demo sends a small believable sample to a running `weir all` and
// shows real answers, each under the curl line that gets it. `make demo` runs
// it; what it needs it reads from DIR/demo.json.
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

// credentials are what the first start of a data folder made.
type credentials struct {
	URL     string `json:"url"`
	Product string `json:"product_id"`
	Key     string `json:"key"`
	Secret  string `json:"secret"`
	Token   string `json:"token"`
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
	who, err := read(filepath.Join(dir, "demo.json"))
	if err != nil {
		return err
	}
	if err := ready(ctx, who); err != nil {
		return err
	}
	if err := send(ctx, who); err != nil {
		return err
	}
	time.Sleep(time.Second) // by then what was acknowledged is in every answer
	return show(ctx, who)
}

func read(path string) (credentials, error) {
	var who credentials
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own data folder
	if errors.Is(err, fs.ErrNotExist) {
		return who, fmt.Errorf("%s is not there: run `make run` in another terminal first", path)
	}
	if err != nil {
		return who, err
	}
	if err := json.Unmarshal(text, &who); err != nil {
		return who, fmt.Errorf("read %s: %w", path, err)
	}
	return who, nil
}

func ready(ctx context.Context, who credentials) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, who.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers on %s: run `make run` in another terminal first", who.URL)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("%s: %s, try again in a moment", who.URL, bytes.TrimSpace(text))
	}
	return nil
}

// send makes 30 days of events that end yesterday, and imports them. Within a
// day it makes the same ones again, which count once.
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

// show asks three questions.
func show(ctx context.Context, who credentials) error {
	monthAgo := time.Now().UTC().AddDate(0, 0, -31).Format(time.DateOnly)
	fmt.Println("\nHow many events are there, and what is the latest one?")
	latest, err := ask(ctx, who, "/analytics/api/v1/events",
		fmt.Sprintf(`{"startDate": %q, "paging": {"page": 1, "perPage": 1}}`, monthAgo))
	if err != nil {
		return err
	}
	fmt.Println("\nHow many sessions began?")
	if _, err := ask(ctx, who, "/analytics/api/v1/events",
		fmt.Sprintf(`{"startDate": %q, "filters": {"name": ["session_start"]}, "paging": {"page": 1, "perPage": 1}}`, monthAgo)); err != nil {
		return err
	}
	client, err := clientOf(latest)
	if err != nil {
		return err
	}
	fmt.Println("\nWhen did the client of that latest event use the product in its last days?")
	_, err = ask(ctx, who, "/api/v3/business/report/event/user", fmt.Sprintf(`{"refId": %q, "from": "%sT00:00:00.000Z", "until": "%sT23:59:59.999Z"}`,
		client, time.Now().UTC().AddDate(0, 0, -3).Format(time.DateOnly), time.Now().UTC().Format(time.DateOnly)))
	return err
}

// clientOf is the EUID of the first event of a list: the sample's users are
// named u and their EUID.
func clientOf(answer []byte) (string, error) {
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

// ask prints the curl line of a question, puts the question, and prints the
// beginning of the answer.
func ask(ctx context.Context, who credentials, path, question string) ([]byte, error) {
	fmt.Printf("$ curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \\\n    %s%s -d '%s'\n", who.Token, who.URL, path, question)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, who.URL+path, bytes.NewReader([]byte(question)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+who.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", path, resp.StatusCode, answer)
	}
	printed := answer
	if len(printed) > 1500 {
		printed = append(bytes.Clone(printed[:1500]), " …"...)
	}
	fmt.Printf("%s\n  as of %s, watermark %s\n", printed, resp.Header.Get("Weir-As-Of"), resp.Header.Get("Weir-Watermark"))
	return answer, nil
}
