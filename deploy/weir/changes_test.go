package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestChangesOfClients sends properties and contacts to one process. They are
// stored once and counted as stored, also after a restart and a compaction, and
// do not appear as events.
func TestChangesOfClients(t *testing.T) {
	const address = "ann.personal@example.org"
	s := newTestServer(t, "--processor.cut-age", "500ms", "--log.level", "debug")
	s.start()
	d := s.demo()
	today := time.Now().UTC().Format(time.DateOnly)
	change := func(path, body string) {
		t.Helper()
		r, err := http.NewRequest("POST", s.url()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(d.Key, d.Secret)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(text) != `{"code":0,"message":"success"}` {
			t.Errorf("%s: %d %s", path, resp.StatusCode, text)
		}
	}
	waitBalance := func(stored, changes int64) {
		t.Helper()
		s.waitFor("in the lake", func() error {
			b, code := s.check()
			var changed, rows int64
			for _, shard := range b.Shards {
				changed += shard.Changes
				rows += *shard.Rows
			}
			if sum := b.totals(); !b.Closes || code != exitDone || sum.InFlight != 0 || sum.Stored != stored || changed != changes || rows != stored {
				return fmt.Errorf("exit code %d, %+v", code, b)
			}
			return nil
		})
	}
	s.postEvents(d.Key, d.Secret, fmt.Sprintf(`{"data":[{"euid":7,"event_name":"sign_up","itime":%d}]}`, time.Now().UnixMilli()))
	change("/v1/user/property", `{"euid":7,"type":"set","properties":{"plan":"pro"}}`)
	change("/v1/user/contact", `{"euid":7,"contacts":{"email":"`+address+`"}}`)
	waitBalance(3, 2)
	change("/v1/user/contact", `{"euid":7,"contacts":{"email":"`+address+`"}}`)
	waitBalance(4, 3)
	if n, err := s.count(today); err != nil || n != 1 {
		t.Errorf("%d events are counted, %v; want the one", n, err)
	}
	if rows := s.downloadToday(); len(rows) != 2 || strings.Contains(fmt.Sprint(rows), address) {
		t.Errorf("the download contains %q, want its header and the one event", rows)
	}
	if out, err := weir(t.Context(), "admin", "compact", "--data", s.dir, "--json").CombinedOutput(); err != nil {
		t.Errorf("compact: %v, %s", err, out)
	}
	waitBalance(4, 3)
	if code := s.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d after SIGTERM, want %d", code, exitDone)
	}
	if strings.Contains(s.log.String(), address) {
		t.Error("the log contains a contact")
	}
	s.start()
	change("/v1/user/property", `{"euid":7,"type":"delete","properties":{"plan":null}}`)
	waitBalance(5, 4)
	if code := s.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d after SIGTERM, want %d", code, exitDone)
	}
}
