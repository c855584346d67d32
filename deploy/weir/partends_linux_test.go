package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/deploy/embedded"
)

// TestEndOfAPartEndsTheProcess breaks the socket of each embedded part while a server
// runs: /readyz names the parts, and the process ends with the reason, after it has
// drained.
func TestEndOfAPartEndsTheProcess(t *testing.T) {
	for name, address := range map[string]func(*embedded.Parts) string{
		"broker": func(p *embedded.Parts) string { return p.Kafka },
		"store":  func(p *embedded.Parts) string { return strings.TrimPrefix(p.S3.Endpoint, "http://") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir) // the store changes the working directory; Chdir restores it after the test
			p := &process{stdout: io.Discard, stderr: &lockedBuffer{}, environ: []string{"GOMEMLIMIT=off"}}
			cfg, err := p.loadAll([]string{"--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			a := p.newApp(cfg, roles{ingest: true, processor: true, query: true})
			parts, err := embedded.Open(t.Context(), embedded.Config{Dir: cfg.Data, Conns: a.conns, Log: a.log})
			if err != nil {
				t.Fatal(err)
			}
			defer parts.Close()
			defer a.close()
			a.cfg = withEmbeddedParts(cfg, cfg.Data, runInfo{Kafka: parts.Kafka, Login: parts.Login, S3: parts.S3})
			a.dial = a.conns.Dial
			ended := make(chan error, 1)
			go func() { ended <- p.serveAll(t.Context(), a, parts) }()
			(&testServer{t: t}).waitFor("running", func() error {
				_, err := os.Stat(filepath.Join(cfg.Data, runFile))
				return err
			})

			shutSocket(t, address(parts))
			select {
			case err = <-ended:
			case <-time.After(time.Minute):
				t.Fatal("the process does not end")
			}
			if want := "embedded parts: embedded " + name; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it ended with %v, want %q", err, want)
			}
			for _, probe := range a.probes {
				if err := probe.ready(t.Context()); probe.name == "embedded parts" && err == nil {
					t.Error("/readyz would be green although the part has ended")
				}
			}
			if log := p.stderr.(*lockedBuffer).String(); !strings.Contains(log, "an embedded part has ended, the process ends too") {
				t.Error("the end was not logged")
			}
		})
	}
}

// shutSocket makes the listening socket of this process at an address take no more
// connections, without a word to whoever accepts them.
func shutSocket(t *testing.T, address string) {
	t.Helper()
	fd, err := listeningSocket(address)
	if err == nil {
		err = syscall.Shutdown(fd, syscall.SHUT_RDWR)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func listeningSocket(address string) (fd int, err error) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return 0, err
		}
		if listens, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); listens != 1 {
			continue
		}
		name, err := syscall.Getsockname(fd)
		if in4, ok := name.(*syscall.SockaddrInet4); err == nil && ok && address == net.JoinHostPort(net.IP(in4.Addr[:]).String(), fmt.Sprint(in4.Port)) {
			return fd, nil
		}
	}
	return 0, errors.New("nothing listens on " + address)
}
