//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onEachInstallation runs the same test against Weir in one process and against
// Weir on real servers.
func onEachInstallation(t *testing.T, story func(t *testing.T, w *installation)) {
	t.Run("all", func(t *testing.T) { story(t, allInOne(t)) })
	t.Run("cluster", func(t *testing.T) { story(t, cluster(t)) })
}

// TestEveryFigure imports real events, asks for every expected figure, sends
// all of it again, compacts, and asks again.
func TestEveryFigure(t *testing.T) {
	onEachInstallation(t, func(t *testing.T, w *installation) {
		c := events(t)
		n := w.createAccount(t, c.ids()...)
		importAll(t, w, n, c)
		sum := w.awaitAllCommitted(t)
		checkFigures(t, w, n, c)

		importAll(t, w, n, c)
		again := w.awaitAllCommitted(t)
		if again.Stored != sum.Stored || again.Duplicates != sum.Duplicates+sum.Stored {
			t.Errorf("sent again: stored %d and duplicates %d, were %d and %d: want every event a duplicate",
				again.Stored, again.Duplicates, sum.Stored, sum.Duplicates)
		}
		checkFigures(t, w, n, c)

		w.admin(t, "compact")
		checkFigures(t, w, n, c, "--compacted")
		w.check(t, "--deep")
		checkDownloads(t, w, n, c)
		checkIsolation(t, w, c)
	})
}

func importAll(t *testing.T, w *installation, n account, c corpus) {
	t.Helper()
	for product, file := range c.files {
		begun := time.Now()
		if err := w.importFile(t, n, product, file); err != nil {
			t.Fatal(err)
		}
		events := c.products[product].Totals.Events
		t.Logf("%s: imported %d events of %s, %.0f/s", w.name, events, product, float64(events)/time.Since(begun).Seconds())
	}
}

// checkFigures compares every expected figure: totals, names and years through
// the Events API, one client through the User Events API, and all of them
// through Iceberg readers.
func checkFigures(t *testing.T, w *installation, n account, c corpus, flags ...string) {
	t.Helper()
	for product, want := range c.products {
		token := decoded[struct{ Token string }](t, w.admin(t, "token", "create", "--account", n.id, "--product", product)).Token
		if got := w.countEvents(t, 0, token, "1971-01-01", "2100-01-01"); got != want.Totals.Events {
			t.Errorf("%s: %d events, want %d", product, got, want.Totals.Events)
		}
		for _, name := range want.ByName {
			if got := w.countEvents(t, 1, token, "1971-01-01", "2100-01-01", name.Name); got != name.N {
				t.Errorf("%s: %d events named %s, want %d", product, got, name.Name, name.N)
			}
		}
		for _, year := range want.ByYear {
			from, to := fmt.Sprintf("%d-01-01", year.Year), fmt.Sprintf("%d-01-01", year.Year+1)
			if got := w.countEvents(t, 0, token, from, to); got != year.Events {
				t.Errorf("%s: %d events in %d, want %d", product, got, year.Year, year.Events)
			}
		}
		checkOneClient(t, w, token, want.OneClient.EUID, usesOf(t, c.files[product], want.OneClient.EUID))
	}
	w.verifyTables(t, c.expected, flags...)
}

// checkOneClient asks the User Events API for all uses by one client, and checks
// how many there are, their order, and that ids are unique.
func checkOneClient(t *testing.T, w *installation, token, euid string, uses int) {
	t.Helper()
	question := map[string]string{"refId": euid, "from": "1971-01-01T00:00:00.000Z", "until": "2100-01-01T00:00:00.000Z"}
	rows, _, err := post[[]struct {
		ID        int64
		DateEvent string
	}](t, http.DefaultClient, w.queries[0].url+"/api/v3/business/report/event/user", token, question)
	if err != nil {
		t.Fatal(err)
	}
	seen, last := map[int64]bool{}, ""
	for _, r := range rows {
		if seen[r.ID] || r.DateEvent < last {
			t.Fatalf("id %d at %s: repeated, or earlier than %s", r.ID, r.DateEvent, last)
		}
		seen[r.ID], last = true, r.DateEvent
	}
	if len(rows) != uses {
		t.Errorf("client %s: %d uses, want %d", euid, len(rows), uses)
	}
}

// checkDownloads downloads today's raw events through the Reporting API, checks
// the zip with tools that are not Weir's, and checks that an altered link is
// refused.
func checkDownloads(t *testing.T, w *installation, n account, c corpus) {
	t.Helper()
	client, url := w.logIn(t, 0, n)
	for product, want := range c.products {
		name := fmt.Sprintf("%s_%s.zip", product, time.Now().UTC().Format(time.DateOnly))
		answer, _, err := post[struct {
			DownloadURL string `json:"downloadUrl"`
		}](t, client,
			url+"/v3/rawEvents/download/getDownloadUrl/"+product, "", map[string]string{"fileName": name})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(scratchDir(t), w.name+"-"+name)
		get(t, http.DefaultClient, answer.DownloadURL, file)
		if out, err := run(nil, "unzip", "-tq", file); err != nil {
			t.Errorf("unzip -t %s: %v\n%s", name, err, out)
		}
		out, err := run(nil, python, "-c", `
import csv, io, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
rows = csv.DictReader(io.TextIOWrapper(z.open(z.namelist()[0]), encoding="utf-8", newline=""), strict=True)
print(len({(r["shard"], r["offset"]) for r in rows}))`, file)
		if err != nil || strings.TrimSpace(out) != fmt.Sprint(want.Totals.Events) {
			t.Errorf("rows of %s: %s %v, want %d", name, out, err, want.Totals.Events)
		}
		os.Remove(file)
		altered := strings.Replace(answer.DownloadURL, "X-Amz-Signature=", "X-Amz-Signature=0", 1)
		if got := statusOf(t, http.DefaultClient, altered); got != http.StatusForbidden {
			t.Errorf("an altered link: %d, want 403", got)
		}
	}
}

// checkIsolation checks that another account's credentials show none of the
// events.
func checkIsolation(t *testing.T, w *installation, c corpus) {
	t.Helper()
	other := w.createAccount(t, "777001")
	if got := w.countEvents(t, 0, other.token, "1971-01-01", "2100-01-01"); got != 0 {
		t.Errorf("another account's token sees %d events", got)
	}
	client, url := w.logIn(t, 1, other)
	for product := range c.products {
		if got := statusOf(t, client, url+"/v3/rawEvents/download/listFiles/"+product); got != http.StatusForbidden {
			t.Errorf("another account lists files of %s: %d, want 403", product, got)
		}
	}
}

// TestFreshness sends events and asks every query process for them at once; on a
// cluster also while the processors are down. An answer that lacks an event
// carries a Weir-As-Of from before that event was acknowledged.
func TestFreshness(t *testing.T) {
	onEachInstallation(t, func(t *testing.T, w *installation) {
		n := w.createAccount(t, "2001")
		today := time.Now().UTC().Format(time.DateOnly)
		var slowest time.Duration
		for i := range 20 {
			name := fmt.Sprintf("fresh_%d", i)
			w.sendEvent(t, n, "2001", name, time.Now())
			begun := time.Now()
			eventually(t, name+" is in the answer", func() error {
				answer, about := w.listEvents(t, i, n.token, map[string]any{"startDate": today, "filters": map[string]any{"name": []string{name}}})
				if len(answer.Results) == 1 {
					return nil
				}
				if asOf, err := time.Parse(time.RFC3339, about.Get("Weir-As-Of")); err == nil && asOf.After(begun) {
					t.Errorf("%s: an answer as of %s lacks what was acknowledged at %s", w.name, asOf, begun)
				}
				return fmt.Errorf("%d results", len(answer.Results))
			})
			slowest = max(slowest, time.Since(begun))
		}
		t.Logf("%s: an acknowledged event was in the answer after %s at the latest", w.name, slowest)
		if w.name == "cluster" {
			askWithoutProcessors(t, w, n, today)
		}
	})
}

// askWithoutProcessors asks while no processor runs: the answer holds what the
// lake holds and carries Weir-Partial. Once processors run again the answer is
// complete.
func askWithoutProcessors(t *testing.T, w *installation, n account, today string) {
	t.Helper()
	w.awaitAllCommitted(t)
	for _, p := range w.processors {
		p.end(t, syscall.SIGKILL)
	}
	w.sendEvent(t, n, "2001", "unseen", time.Now())
	answer, header := w.listEvents(t, 0, n.token, map[string]any{"startDate": today})
	if answer.Paging.TotalCount != 20 {
		t.Errorf("without processors: %d events, want the 20 of the lake", answer.Paging.TotalCount)
	}
	t.Logf("without processors: %v", weirHeaders(header))
	if header.Get("Weir-Partial") == "" {
		t.Errorf("without processors: headers %v do not say so", weirHeaders(header))
	}
	for _, p := range w.processors {
		p.start(t)
	}
	eventually(t, "the processors have caught up", func() error {
		if got, _ := w.listEvents(t, 1, n.token, map[string]any{"startDate": today}); got.Paging.TotalCount != 21 {
			return fmt.Errorf("%d events", got.Paging.TotalCount)
		}
		return nil
	})
}

func weirHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for name := range h {
		if strings.HasPrefix(name, "Weir-") {
			found[name] = h.Get(name)
		}
	}
	return found
}

// TestKill ends processes at random moments of an import, and then compares
// every count.
func TestKill(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			t.Run("all", func(t *testing.T) { t.Parallel(); endProcessesWhileImporting(t, allInOne(t), sig) })
			t.Run("cluster", func(t *testing.T) { t.Parallel(); endProcessesWhileImporting(t, cluster(t), sig) })
		})
	}
}

const kills = 20

func endProcessesWhileImporting(t *testing.T, w *installation, sig syscall.Signal) {
	c := events(t)
	const product = "1001"
	n := w.createAccount(t, product)
	imported := make(chan error, 1)
	// The import is slow enough that all kills happen during it.
	rate := fmt.Sprint(c.products[product].Totals.Events / 75)
	go func() { imported <- w.importFile(t, n, product, c.files[product], "--rate", rate) }()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	all := w.processes()
	for i := range kills {
		time.Sleep(time.Duration(300+random.IntN(2000)) * time.Millisecond)
		p := all[i%len(all)]
		p.end(t, sig)
		p.start(t)
	}
	if err := <-imported; err != nil {
		t.Fatal(err)
	}
	sum := w.awaitAllCommitted(t)
	if w.refresh != nil {
		w.refresh(t)
	}
	if got, want := sum.Stored, c.products[product].Totals.Events; got != want || sum.Dead != 0 || sum.Lost != 0 {
		t.Errorf("after %d times SIG%s: %+v, want %d stored", kills, sig, sum, want)
	}
	t.Logf("%s: %d times %s: %d stored, %d duplicates", w.name, kills, sig, sum.Stored, sum.Duplicates)
	w.check(t, "--deep")
	only := logFile(t, "expected")
	onlyProduct(t, c.expected, product, only)
	w.verifyTables(t, only)
	if got := w.countEvents(t, 0, n.token, "1971-01-01", "2100-01-01"); got != c.products[product].Totals.Events {
		t.Errorf("the Events API counts %d, want %d", got, c.products[product].Totals.Events)
	}
}

func onlyProduct(t *testing.T, from, product, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	all := decoded[map[string]json.RawMessage](t, string(text)) // verify.py depends on the order of the names
	writeJSON(t, to, map[string]any{product: all[product]})
}
