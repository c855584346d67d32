package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStalledBodiesAreAnswered: whatever is asked, and whether or not the asker may, a
// body that stops or drips has its answer, and the connection its end.
func TestStalledBodiesAreAnswered(t *testing.T) {
	server := newTestServer(t, "--http.rate-grace", "400ms", "--ingest.read-timeout", "400ms", "--query.write-stall", "400ms")
	server.start()
	login := server.basic()
	for name, c := range map[string]struct {
		request string // the first line
		header  string
		status  int
	}{
		"200":          {"POST /v1/event/report", login, 408},
		"401":          {"POST /v1/event/report", "", 401},
		"404":          {"POST /v1/nothing", login, 404},
		"405":          {"PUT /v1/event/report", login, 405},
		"415":          {"POST /v1/event/report", login + "Content-Type: text/plain\r\n", 415},
		"healthz":      {"GET /healthz", "", 200},
		"documents":    {"GET /openapi/", "", 200},
		"unknown":      {"GET /nothing", "", 404},
		"our own":      {"POST /weir/v1/identities", login, 408},
		"events":       {"POST /analytics/api/v1/events", "", 401},
		"login":        {"POST /v3/auth/web", "Cookie: RUI-Csrf=any\r\n", 408},
		"download":     {"GET /weir-exports/nothing", "", 403},
		"signed":       {"GET /weir-exports/nothing?X-Amz-Signature=no", "", 400},
		"other method": {"POST /healthz", "", 405},
	} {
		for kind, body := range map[string]string{
			"length": "Content-Length: 100\r\n\r\n{", "chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
			"drip": "Content-Length: 100000\r\n\r\n{",
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				conn, err := net.Dial("tcp", server.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: weir\r\n%s%s", c.request, c.header, body)
				if kind == "drip" {
					ctx, stop := context.WithCancel(t.Context())
					defer stop()
					go drip(ctx, conn)
				}
				in := bufio.NewReader(conn)
				answer, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil || answer.StatusCode != c.status || !answer.Close {
					t.Errorf("%s, close %v, %s, %v; want %d", answer.Status, answer.Close, text, err, c.status)
				}
				if n, err := io.Copy(io.Discard, in); n > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
					t.Errorf("after the answer: %d bytes, %v", n, err)
				}
			})
		}
	}
}

// basic returns the header with which the demo's data source sends events.
func (s *testServer) basic() string {
	d := s.demo()
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(d.Key+":"+d.Secret)) + "\r\n"
}

// TestStalledConnectionsEndWithTheProcess: whoever stalls does not delay the end.
func TestStalledConnectionsEndWithTheProcess(t *testing.T) {
	server := newTestServer(t, "--http.drain-timeout", "20s")
	server.start()
	login := server.basic()
	for _, text := range []string{
		"", "GET /he", "POST /v1/event/report HTTP/1.1\r\nHost: weir\r\nContent-Length: 100\r\n\r\n{",
		"POST /v1/event/report HTTP/1.1\r\nHost: weir\r\n" + login + "Content-Length: 100\r\n\r\n{",
		"POST /v3/auth/web HTTP/1.1\r\nHost: weir\r\nCookie: RUI-Csrf=any\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
	} {
		conn, err := net.Dial("tcp", server.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	server.metric("weir_ingest_in_flight_requests 1") // the second one is being read
	if code := server.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(server.log.String(), "requests still in flight after the drain timeout") {
		t.Error("the process waited for the whole drain timeout")
	}
}

// TestFloodsLeavePlaces: connections to every address, as many as there are descriptors
// and more, leave those that the process needs, and none of its parts has to be
// restarted afterwards. That holds, too, when the limits are set too high and the
// descriptors run out.
func TestFloodsLeavePlaces(t *testing.T) {
	for name, args := range map[string][]string{
		"within limits":       nil,
		"without descriptors": {"--http.max-connections", "100000", "--http.max-per-address", "100000"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newTestServer(t, append(args, "--processor.cut-age", "200ms")...)
			server.limitFiles(320)
			server.start()
			d := server.demo()
			run := server.run()
			store, err := url.Parse(run.S3.Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			send := func(i int) {
				server.postEvents(d.Key, d.Secret, fmt.Sprintf(`{"data":[{"euid":%d,"event_name":"flood","itime":%d}]}`, 1001+i, time.Now().UnixMilli()))
			}
			send(0)
			kept := http.Client{Transport: &http.Transport{}}
			ready := func() (string, error) {
				resp, err := kept.Get(server.url() + "/readyz")
				if err != nil {
					return "", err
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				return string(text), err
			}
			if text, err := ready(); text != "ready\n" {
				t.Fatal(text, err)
			}
			var flood []net.Conn
			for _, addr := range []string{server.addr, run.Kafka, store.Host, run.Admin} {
				for range 400 {
					conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
					if err != nil {
						break // the queue of connections to accept is full
					}
					flood = append(flood, conn)
				}
			}
			if args == nil {
				if text, err := ready(); text != "ready\n" {
					t.Errorf("a connection of before, during the flood: %s, %v", text, err)
				}
			}
			for _, conn := range flood {
				conn.Close()
			}
			server.waitFor("serving as before", func() error {
				text, err := ready()
				if text != "ready\n" {
					return fmt.Errorf("%s, %w", text, err)
				}
				return nil
			})
			send(1)
			server.waitFor("both events and none else", func() error {
				n, err := server.count(time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
				if err == nil && n != 2 {
					err = fmt.Errorf("%d events", n)
				}
				return err
			})
			if code := server.end(syscall.SIGTERM); code != exitDone {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// limitFiles lets the server have so many files and connections open.
func (s *testServer) limitFiles(n int) {
	s.t.Helper()
	own, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/bash\nulimit -n %d\nexec -a weir %q \"$@\"\n", n, own)
	s.path = filepath.Join(s.t.TempDir(), "weir")
	if err := os.WriteFile(s.path, []byte(script), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// run returns how other processes reach the server.
func (s *testServer) run() (r runInfo) {
	s.t.Helper()
	text, err := readFolderFile(s.dir, runFile)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// metric waits until a line is in the metrics.
func (s *testServer) metric(line string) {
	s.t.Helper()
	s.waitFor(line, func() error {
		resp, err := http.Get("http://" + s.run().Admin + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(text), "\n"+line+"\n") {
			err = errors.New("not in the metrics")
		}
		return err
	})
}

// drip sends a byte now and then.
func drip(ctx context.Context, conn net.Conn) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(conn, " "); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
