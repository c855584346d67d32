package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestPublishedConversation sends the request examples of the four published
// documents to one server: what the Ingestion API took is in the answers of the
// others, which equal the sample answers but for ids. In the script a request is
// raw HTTP; {basic}, {token}, {email}, {password} and {product} are those of the
// demo account. "wait" waits until all events that were sent are counted.
func TestPublishedConversation(t *testing.T) {
	const path = "testdata/documents/conversation.txtar"
	script, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, "--processor.cut-age", "500ms", "--query.lookback", "0")
	s.start()
	jar, _ := cookiejar.New(nil)
	c := conversation{testServer: s, browser: &http.Client{Jar: jar}, demo: s.demo()}
	for n := 0; n+1 < len(script.Files); n += 2 {
		request, answer := script.Files[n], &script.Files[n+1]
		got := c.answer(string(request.Data))
		if *update {
			answer.Data = []byte(got)
		} else if diff := cmp.Diff(string(answer.Data), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", request.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type conversation struct {
	*testServer
	browser  *http.Client
	demo     demo
	sent     int    // events
	requests string // all that were played
}

// answer plays one section.
func (c *conversation) answer(request string) string {
	c.t.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(c.demo.Key + ":" + c.demo.Secret))
	request = strings.NewReplacer("{basic}", basic, "{token}", c.demo.Token, "{email}", c.demo.Email,
		"{password}", c.demo.Password, "{product}", c.demo.Product).Replace(request)
	if request == "wait\n" {
		c.waitFor("counted", func() error {
			if n, err := c.count("2020-01-01"); err != nil || n != c.sent {
				return fmt.Errorf("%d of %d events: %w", n, c.sent, errors.Join(err, errors.New("wrong count")))
			}
			return nil
		})
		return ""
	}
	c.requests += request
	c.sent += strings.Count(request, `"event_name"`)
	return c.exchange(request)
}

// exchange sends raw HTTP and formats the answer, with its ids masked.
func (c *conversation) exchange(request string) string {
	c.t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\n\n")))
	if err != nil {
		c.t.Fatalf("%v in:\n%s", err, request)
	}
	out, err := http.NewRequestWithContext(c.t.Context(), r.Method, c.url()+r.URL.String(), strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	out.Header = r.Header
	resp, err := c.browser.Do(out)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var indented bytes.Buffer
	if len(text) > 120 && json.Indent(&indented, text, "", "  ") == nil {
		text = indented.Bytes()
	}
	return fmt.Sprintf("%s\n\n%s\n", resp.Status, c.mask(string(bytes.TrimSpace(text))))
}

// madeID matches ids that Weir makes: UUIDs, those of an account or user, and the
// numbers of uses.
var madeID = regexp.MustCompile(`"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:acc|usr)_[a-z2-7]{26})"|"id": [0-9]+`)

// mask hides ids that are not from the script.
func (c *conversation) mask(answer string) string {
	return madeID.ReplaceAllStringFunc(answer, func(id string) string {
		if strings.Contains(c.requests, id) {
			return id
		}
		if strings.HasPrefix(id, `"id"`) {
			return `"id": MADE`
		}
		return `"MADE"`
	})
}
