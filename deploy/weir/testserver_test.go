package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// testServer runs `weir all` as a separate process on one folder and one address.
// A test may stop and start it repeatedly.
type testServer struct {
	t    *testing.T
	dir  string
	addr string
	args []string
	path string // binary that the next start runs; "" is this test binary
	cmd  *exec.Cmd
	log  *lockedBuffer // standard error of all runs
	out  *lockedBuffer // standard output of all runs
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newTestServer chooses a folder and an address. It does not start the server.
func newTestServer(t *testing.T, args ...string) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &testServer{t: t, dir: filepath.Join(t.TempDir(), "data"), addr: l.Addr().String(), args: args, log: &lockedBuffer{}, out: &lockedBuffer{}}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.end(syscall.SIGKILL)
		}
		if t.Failed() {
			t.Logf("standard error of the server:\n%s", lastBytes(s.log.String(), 8000))
		}
	})
	return s
}

func lastBytes(text string, n int) string { return text[max(0, len(text)-n):] }

func (s *testServer) url() string { return "http://" + s.addr }

// weir returns a command that runs this test binary as weir.
func weir(ctx context.Context, args ...string) *exec.Cmd { return weirAt(ctx, "", args...) }

// weirAt returns a command that runs the binary at path as weir; "" is this
// test binary.
func weirAt(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	if own, err := os.Executable(); err == nil {
		cmd.Path = own
	}
	if path != "" {
		cmd.Path = path
	}
	cmd.Args[0] = "weir"
	return cmd
}

// begin starts the process and does not wait until it is ready.
func (s *testServer) begin() {
	s.t.Helper()
	s.cmd = weirAt(context.Background(), s.path, append([]string{"all", "--data", s.dir, "--listen", s.addr}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the process and waits until it is ready.
func (s *testServer) start() {
	s.t.Helper()
	s.begin()
	s.waitFor("ready", func() error {
		resp, err := http.Get(s.url() + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
			return fmt.Errorf("%d %s", resp.StatusCode, body)
		}
		return nil
	})
}

// end sends a signal, waits and returns the exit code; -1 after SIGKILL.
func (s *testServer) end(signal os.Signal) int {
	s.t.Helper()
	_ = s.cmd.Process.Signal(signal)
	_ = s.cmd.Wait() // the exit code is returned
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// waitFor repeats try until it succeeds. The minute allows for a machine under
// load.
func (s *testServer) waitFor(what string, try func() error) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not %s after a minute: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *testServer) demo() demo {
	s.t.Helper()
	var d demo
	text, err := os.ReadFile(filepath.Join(s.dir, demoFile))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// check runs `weir check --deep` and returns the balance and the exit code.
func (s *testServer) check() (balance, int) {
	s.t.Helper()
	var b balance
	cmd := weir(s.t.Context(), "check", "--data", s.dir, "--json", "--deep")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if jsonErr := json.Unmarshal(out, &b); jsonErr != nil {
		s.t.Fatalf("weir check: %v, %v\n%s", err, jsonErr, errs.String())
	}
	return b, cmd.ProcessState.ExitCode()
}

// totals returns the sums over all shards.
func (b balance) totals() (t shardBalance) {
	for _, s := range b.Shards {
		t.Stored += s.Stored
		t.Duplicates += s.Duplicates
		t.Dead += s.Dead
		t.Lost += s.Lost
		t.InFlight += s.InFlight
	}
	return t
}

// count returns the number of events since a day, from the Events API.
func (s *testServer) count(since string) (int, error) {
	s.t.Helper()
	return countAt(s.url(), s.demo().Token, since)
}

func countAt(url, token, since string) (int, error) {
	body := fmt.Sprintf(`{"startDate":%q,"paging":{"page":1,"perPage":1}}`, since)
	r, err := http.NewRequest("POST", url+"/analytics/api/v1/events", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		return 0, fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	var answer struct{ Paging struct{ TotalCount int } }
	return answer.Paging.TotalCount, json.Unmarshal(text, &answer)
}

// importing starts `weir import` of a file.
func (s *testServer) importing(file string, flags ...string) *exec.Cmd {
	s.t.Helper()
	d := s.demo()
	cmd := weir(context.Background(), append(append([]string{"import", "--url", s.url(), "--key", d.Key}, flags...), file)...)
	cmd.Env = append(os.Environ(), "WEIR_SECRET="+d.Secret)
	cmd.Stdout, cmd.Stderr = s.out, s.log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd
}
