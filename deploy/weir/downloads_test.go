package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// reply is an answer whose body has been read.
type reply struct {
	Status        string
	StatusCode    int
	Header        http.Header
	ContentLength int64
	Cookies       []*http.Cookie
}

// TestDownloadsAndCookies asks a server of its own what wget, aria2c and browsers
// ask. The cases are named by rows of the list of what public tools stumbled over.
func TestDownloadsAndCookies(t *testing.T) {
	s := newTestServer(t)
	s.start()
	d := s.demo()
	s.postEvents(d.Key, d.Secret, `{"app_key":"a","data":[{"euid":1,"event_name":"x","itime":`+fmt.Sprint(time.Now().UnixMilli())+`}]}`)
	ask := func(method, target, body string, header ...string) (reply, []byte) {
		t.Helper()
		r, err := http.NewRequest(method, target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return reply{resp.Status, resp.StatusCode, resp.Header, resp.ContentLength, resp.Cookies()}, text
	}
	login, text := ask("POST", s.url()+"/v3/auth/web", fmt.Sprintf(`{"userName":%q,"password":%q}`, d.Email, d.Password), "Cookie", "RUI-Csrf=x")
	session := ""
	for _, c := range login.Cookies {
		if c.Name == "RUI-Session-Token" {
			session = c.Value
		}
	}
	if session == "" {
		t.Fatalf("log in: %s %s", login.Status, text)
	}
	cookies := "RUI-Session-Token=stale; RUI-Session-Token=" + session
	name := d.Product + "_" + time.Now().UTC().Format(time.DateOnly) + ".zip"
	linkPath := "/v3/rawEvents/download/getDownloadUrl/" + d.Product
	answer, text := ask("POST", s.url()+linkPath, fmt.Sprintf(`{"fileName":%q}`, name), "Cookie", cookies, "Content-Type", "application/json")
	var link struct{ DownloadURL string }
	_ = json.Unmarshal(text, &link)
	t.Run("10.14", func(t *testing.T) {
		if answer.StatusCode != 200 || link.DownloadURL == "" {
			t.Fatalf("a stale session before a valid one: %s %s", answer.Status, text)
		}
		if out, text := ask("GET", s.url()+"/v3/meta/productProperties", "", "Cookie", "RUI-Session-Token=a; RUI-Session-Token=b"); out.StatusCode != 401 {
			t.Errorf("two stale sessions: %s %s", out.Status, text)
		}
	})
	whole, file := ask("GET", link.DownloadURL, "")
	size, etag, modified := len(file), whole.Header.Get("ETag"), whole.Header.Get("Last-Modified")
	if whole.StatusCode != 200 || size < 100 || etag == "" || modified == "" {
		t.Fatalf("download: %s %v", whole.Status, whole.Header)
	}
	t.Run("10.15", func(t *testing.T) {
		out, _ := ask("HEAD", link.DownloadURL, "")
		for _, name := range []string{"ETag", "Last-Modified", "Content-Type", "Content-Disposition", "Accept-Ranges"} {
			if out.Header.Get(name) == "" || out.Header.Get(name) != whole.Header.Get(name) {
				t.Errorf("%s of HEAD %q, of GET %q", name, out.Header.Get(name), whole.Header.Get(name))
			}
		}
		if out.StatusCode != 200 || out.ContentLength != int64(size) {
			t.Errorf("HEAD: %s, length %d of %d", out.Status, out.ContentLength, size)
		}
		if out, _ := ask("HEAD", strings.Replace(link.DownloadURL, "X-Amz-Signature=", "X-Amz-Signature=0", 1), ""); out.StatusCode != 403 {
			t.Errorf("HEAD with another signature: %s", out.Status)
		}
	})
	t.Run("10.16", func(t *testing.T) {
		old, future := "Mon, 02 Jan 2006 15:04:05 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
		for _, c := range []struct {
			header []string
			status int
			want   []byte
			ranges string // Content-Range
		}{
			{[]string{"If-Modified-Since", modified}, 304, nil, ""},
			{[]string{"If-Modified-Since", old}, 200, file, ""},
			{[]string{"If-Unmodified-Since", modified}, 200, file, ""},
			{[]string{"If-Unmodified-Since", old}, 412, nil, ""},
			{[]string{"If-None-Match", `"a", ` + etag + `, "b"`}, 304, nil, ""},
			{[]string{"If-None-Match", `W/` + etag}, 304, nil, ""},
			{[]string{"If-None-Match", `*`}, 304, nil, ""},
			{[]string{"If-None-Match", `"a", "b"`, "If-Modified-Since", future}, 200, file, ""},
			{[]string{"If-Match", `"a", ` + etag}, 200, file, ""},
			{[]string{"If-Match", `"a"`}, 412, nil, ""},
			{[]string{"Range", "bytes=10-19"}, 206, file[10:20], fmt.Sprintf("bytes 10-19/%d", size)},
			{[]string{"Range", "bytes=-10"}, 206, file[size-10:], fmt.Sprintf("bytes %d-%d/%d", size-10, size-1, size)},
			{[]string{"Range", "bytes=50-"}, 206, file[50:], fmt.Sprintf("bytes 50-%d/%d", size-1, size)},
			{[]string{"Range", "bytes=10-19", "If-Range", etag}, 206, file[10:20], fmt.Sprintf("bytes 10-19/%d", size)},
			{[]string{"Range", "bytes=10-19", "If-Range", modified}, 206, file[10:20], fmt.Sprintf("bytes 10-19/%d", size)},
			{[]string{"Range", "bytes=10-19", "If-Range", `"a"`}, 200, file, ""},
			{[]string{"Range", "bytes=10-19", "If-Range", old}, 200, file, ""},
			{[]string{"Range", fmt.Sprintf("bytes=%d-", size)}, 416, nil, fmt.Sprintf("bytes */%d", size)},
			{[]string{"Range", "bytes=" + strings.Repeat("1-2,", 20) + "5-6"}, 200, file, ""},
		} {
			out, text := ask("GET", link.DownloadURL, "", c.header...)
			if out.StatusCode != c.status || c.want != nil && !bytes.Equal(text, c.want) || out.Header.Get("Content-Range") != c.ranges {
				t.Errorf("%q: %s, %d bytes, Content-Range %q; want %d, %d bytes, %q",
					c.header, out.Status, len(text), out.Header.Get("Content-Range"), c.status, len(c.want), c.ranges)
			}
		}
		out, text := ask("GET", link.DownloadURL, "", "Range", "bytes=1-2,5-6")
		if out.StatusCode != 206 || !strings.HasPrefix(out.Header.Get("Content-Type"), "multipart/byteranges") || !bytes.Contains(text, file[5:7]) {
			t.Errorf("two ranges: %s %v", out.Status, out.Header)
		}
	})
	t.Run("10.17", func(t *testing.T) {
		if ids := whole.Header.Values("X-Amz-Request-Id"); len(ids) != 1 {
			t.Errorf("X-Amz-Request-Id: %q", ids)
		}
		for what, target := range map[string]string{"download": link.DownloadURL, "Reporting API": s.url() + linkPath} {
			out, _ := ask("OPTIONS", target, "", "Origin", "https://analytics.revenera.com", "Access-Control-Request-Method", "POST", "X-Request-Id", "")
			if ids := out.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] == "" {
				t.Errorf("preflight of the %s: %s, X-Request-Id %q", what, out.Status, ids)
			}
		}
		if ids := whole.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] == "" {
			t.Errorf("X-Request-Id of a download: %q", ids)
		}
	})
}
