//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// fileEvent is the part of an event in a file that says whether it is a use.
type fileEvent struct {
	EUID       json.Number `json:"euid"`
	Name       string      `json:"event_name"`
	Time       int64       `json:"itime"`
	RandomID   string      `json:"random_id"`
	Properties struct {
		Session   string          `json:"$session_id"`
		Exception json.RawMessage `json:"$exception"`
	} `json:"properties"`
}

// usesOf counts the uses of one client in a file: its events without a session, and
// its sessions, anew after a day without events. Ends of sessions and exceptions
// do not count.
func usesOf(t *testing.T, path, euid string) int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var text io.Reader = file
	if strings.HasSuffix(path, ".zst") {
		decoder, err := zstd.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		defer decoder.Close()
		text = decoder
	}
	uses, seen, days := 0, map[string]bool{}, map[string][]int64{}
	lines := bufio.NewScanner(text)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		var e fileEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.EUID.String() != euid || seen[e.RandomID] || e.Name == "session_stop" || e.Name == "exception" || e.Properties.Exception != nil:
		case e.Properties.Session == "":
			uses++
		default:
			days[e.Properties.Session] = append(days[e.Properties.Session], e.Time/(24*time.Hour).Milliseconds())
		}
		seen[e.RandomID] = seen[e.RandomID] || e.EUID.String() == euid
	}
	for _, of := range days {
		slices.Sort(of)
		uses++
		for i := 1; i < len(of); i++ {
			if of[i] > of[i-1]+1 {
				uses++
			}
		}
	}
	return uses
}
