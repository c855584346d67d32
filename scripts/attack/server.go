package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is the process under attack.
type server struct {
	cmd     *exec.Cmd
	url     string
	logPath string
	ended   chan error
}

// startServer starts `weir all` on a free port of loopback and waits until it is
// ready.
func startServer(ctx context.Context, weir, dir string, args []string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends at once
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_ = l.Close()
	s := &server{url: "http://" + addr, logPath: filepath.Join(filepath.Dir(dir), "server.log"), ended: make(chan error, 1)}
	log, err := os.Create(s.logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()                                                                                                                   //nolint:errcheck // the child has its own
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), weir, append([]string{"all", "--data", dir, "--listen", addr}, args...)...) //nolint:gosec // the binary to attack
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	for range 600 {
		if s.ready(ctx) {
			return s, nil
		}
		if !s.alive() {
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("%s all is not ready:\n%s", weir, s.lastLog()), s.stop())
}

func (s *server) ready(ctx context.Context) bool {
	_, err := answer(newClient(1, dialAsNeighbour), newRequest(ctx, http.MethodGet, s.url+"/readyz", nil))
	return err == nil
}

// alive reports whether the process has not ended.
func (s *server) alive() bool {
	select {
	case err := <-s.ended:
		s.ended <- err
		return false
	default:
		return true
	}
}

// stop drains the server, and kills it if that takes too long.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended
	select {
	case err := <-s.ended:
		return err
	case <-time.After(settleLimit):
		return errors.Join(fmt.Errorf("the server did not stop within %s of SIGTERM", settleLimit), s.cmd.Process.Kill())
	}
}

func (s *server) lastLog() string {
	text, _ := os.ReadFile(s.logPath)
	return string(text[max(0, len(text)-4000):])
}

// resetPeak makes the kernel forget the peak of the resident memory.
func (s *server) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0)
}

// memory returns the peak of the resident memory since resetPeak, and what is
// resident now; bytes.
func (s *server) memory() (peak, now int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmHWM:":
			peak = n << 10
		case "VmRSS:":
			now = n << 10
		}
	}
	return peak, now
}

// descriptors returns how many files and connections the process has open.
func (s *server) descriptors() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	return len(entries)
}

// cpu returns the CPU time the process has used.
func (s *server) cpu() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel's tick for user space is always 100 a second
}
