package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"weir/schemas/lake/laketest"
)

var (
	kills    = flag.Int("kills", laketest.Repetitions(2), "how often the kill tests end the server; `make e2e` uses 20")
	killSeed = flag.Uint64("kill-seed", uint64(time.Now().UnixNano()), "of the moments at which the kill tests end the server")
)

// TestKilledServerLosesAndRepeatsNothing kills the server at random moments of an
// import and restarts it each time. Afterwards every event must exist once: in
// the lake, in the balance and in the answers.
func TestKilledServerLosesAndRepeatsNothing(t *testing.T) {
	endServerWhileImporting(t, syscall.SIGKILL)
}

// TestStoppedServerLosesAndRepeatsNothing does the same with SIGTERM, on which the
// server drains.
func TestStoppedServerLosesAndRepeatsNothing(t *testing.T) {
	endServerWhileImporting(t, syscall.SIGTERM)
}

func endServerWhileImporting(t *testing.T, signal syscall.Signal) {
	t.Logf("-kill-seed %d", *killSeed)
	random := rand.New(rand.NewPCG(*killSeed, uint64(signal)))
	s := newTestServer(t, "--processor.cut-age", "300ms", "--query.lookback", "0")
	s.start()

	const perSecond = 2000
	events := perSecond * (3 + 2**kills)
	imported := s.importing(eventFile(t, events), "--rate", fmt.Sprint(perSecond), "--retry-for", "5m")
	done := make(chan error, 1)
	go func() { done <- imported.Wait() }()

	for range *kills {
		time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		if code := s.end(signal); signal == syscall.SIGTERM && code != exitDone {
			t.Errorf("exit code %d after SIGTERM, want %d", code, exitDone)
		}
		if random.IntN(4) == 0 { // a start that is killed early
			s.begin()
			time.Sleep(time.Duration(random.Int64N(int64(700 * time.Millisecond))))
			s.end(syscall.SIGKILL)
		}
		s.start()
	}
	if err := <-done; err != nil {
		t.Fatalf("import: %v", err)
	}
	s.holdsExactly(events)
}

// holdsExactly waits until nothing is in flight and counts the events while the
// server runs, while it is stopped, and after a restart.
func (s *testServer) holdsExactly(events int) {
	s.t.Helper()
	s.waitFor("in the lake", func() error {
		if b, _ := s.check(); b.totals().InFlight > 0 {
			return fmt.Errorf("%d in flight", b.totals().InFlight)
		}
		return nil
	})
	check := func(when string) {
		s.t.Helper()
		b, code := s.check()
		if sum := b.totals(); !b.Closes || code != exitDone || sum.Stored != int64(events) || sum.Dead != 0 || sum.Lost != 0 {
			s.t.Errorf("%s: closes %t, exit code %d, %+v; want %d stored\n%+v", when, b.Closes, code, sum, events, b.Shards)
		}
	}
	check("while the server runs")
	if n, err := s.count("2020-01-01"); err != nil || n != events {
		s.t.Errorf("the answer counts %d events, %v; want %d", n, err, events)
	}
	if code := s.end(syscall.SIGTERM); code != exitDone {
		s.t.Errorf("exit code %d after SIGTERM, want %d", code, exitDone)
	}
	check("on the stopped folder")
	s.start()
	if n, err := s.count("2020-01-01"); err != nil || n != events {
		s.t.Errorf("after a restart the answer counts %d events, %v; want %d", n, err, events)
	}
}

// eventFile writes n events of several clients, months and names.
func eventFile(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.ndjson")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range n {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i%90) * 24 * time.Hour)
		fmt.Fprintf(f, `{"euid":%d,"event_name":"name%d","itime":%d,"random_id":"id-%d","properties":{"$category":"c","$value":%d,"n":%d}}`+"\n",
			1+i%97, i%7, at.UnixMilli()+int64(i), i, i%100, i)
	}
	return path
}
