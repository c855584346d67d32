//go:build e2e

// Package e2e tests real processes from end to end: `weir all`, and the
// services side by side on Apache Kafka, an S3 server and PostgreSQL. It starts
// the servers that it needs and fails if it cannot. scripts/e2e/run.sh runs it.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var (
	binary        = env("WEIR_E2E_BINARY", "../../bin/weir")
	scratchFolder = env("WEIR_E2E_DIR", "../../.e2e")
	python        = env("WEIR_E2E_PYTHON", "../../.tools/venv/bin/python")
	sharedData    = env("WEIR_E2E_DATA", "../../../shared/data")
)

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	abs, err := filepath.Abs(otherwise)
	if err != nil {
		return otherwise
	}
	return abs
}

// installation is a running Weir: its processes and how to reach them.
type installation struct {
	name       string
	flags      []string           // flags with which admin and check find the installation
	env        []string           // variables with which every process finds the others
	ingests    []*process         // serve the Ingestion API
	processors []*process         // own the shards
	queries    []*process         // serve the other three APIs
	catalog    string             // SQLAlchemy URI of the catalog
	s3         string             // endpoint of the object store
	s3Env      []string           // its keys, as the AWS SDKs want them
	refresh    func(t *testing.T) // refreshes catalog and s3 after a restart; may be nil
}

// settings of every installation: frequent cuts and compactions, so that tests
// wait less, and no limit to how far back a question may reach.
var settings = []string{"--processor.cut-age=3s", "--query.lookback=0", "--processor.compact-every=15s", "--log.format=text"}

// allInOne starts `weir all` on a fresh folder.
func allInOne(t *testing.T) *installation {
	t.Helper()
	dir := folder(t, "all-")
	addr := freeAddr(t)
	p := &process{
		name: "weir all", url: "http://" + addr, log: logFile(t, "all"),
		args: append([]string{"all", "--data", dir, "--listen", addr}, settings...),
	}
	one := []*process{p}
	w := &installation{name: "all", flags: []string{"--data", dir}, ingests: one, processors: one, queries: one}
	w.catalog = "sqlite:///" + filepath.Join(dir, "weir.db")
	w.refresh = func(t *testing.T) { w.readRun(t, dir) }
	p.start(t)
	t.Cleanup(func() { p.end(t, syscall.SIGTERM) })
	w.refresh(t)
	return w
}

// readRun reads from run.json where the object store listens.
func (w *installation) readRun(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	run := decoded[struct {
		S3 struct {
			Endpoint, AccessKey, SecretKey string
		} `json:"s3"`
	}](t, string(text))
	w.s3 = run.S3.Endpoint
	w.s3Env = []string{"AWS_ACCESS_KEY_ID=" + run.S3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + run.S3.SecretKey}
}

// folder makes a folder for this test, which is kept when the test fails.
func folder(t *testing.T, prefix string) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratchDir(t), prefix) //nolint:usetesting // kept when the test fails
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	})
	return dir
}

func scratchDir(t *testing.T) string {
	t.Helper()
	if err := os.MkdirAll(scratchFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	return scratchFolder
}

// processes returns every process once.
func (w *installation) processes() []*process {
	if w.name == "all" {
		return w.ingests
	}
	var all []*process
	for _, group := range [][]*process{w.ingests, w.processors, w.queries} {
		all = append(all, group...)
	}
	return all
}

// admin runs `weir admin … --json` and returns the JSON it printed.
func (w *installation) admin(t *testing.T, args ...string) string {
	t.Helper()
	args = append(append([]string{"admin"}, args...), append([]string{"--json"}, w.flags...)...)
	out, err := weir(t, w.env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// balance is the part of `weir check --json` about one shard.
type balance struct {
	Shard                                                                            int32
	First, Committed, End, Stored, Duplicates, Dead, Control, Lost, Erased, InFlight int64
	Closes                                                                           bool
}

// awaitAllCommitted waits until nothing is in flight and returns the sums over all
// shards. It fails when the balance does not close.
func (w *installation) awaitAllCommitted(t *testing.T) (sum balance) {
	t.Helper()
	eventually(t, "nothing is in flight", func() error {
		sum = w.check(t)
		if sum.InFlight != 0 {
			return fmt.Errorf("%d in flight", sum.InFlight)
		}
		return nil
	})
	return sum
}

// check runs `weir check` and adds up its shards. A balance that does not
// close fails the test.
func (w *installation) check(t *testing.T, flags ...string) (sum balance) {
	t.Helper()
	out, err := weir(t, w.env, append(append([]string{"check", "--json"}, flags...), w.flags...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	report := decoded[struct {
		Closes bool
		Shards []map[string]any
	}](t, out)
	if !report.Closes {
		t.Fatalf("the balance does not close: %s", out)
	}
	for _, s := range report.Shards {
		sum.End += number(s["end"])
		sum.Committed += number(s["committed"])
		sum.Stored += number(s["stored"])
		sum.Duplicates += number(s["duplicates"])
		sum.Dead += number(s["dead"])
		sum.Lost += number(s["lost"])
		sum.InFlight += number(s["in_flight"])
	}
	return sum
}

func number(v any) int64 {
	f, ok := v.(float64)
	if !ok {
		return -1
	}
	return int64(f)
}

// verifyTables compares every expected figure with what pyiceberg and DuckDB
// read from the tables.
func (w *installation) verifyTables(t *testing.T, expected string, flags ...string) {
	t.Helper()
	args := append([]string{"verify.py", "--catalog", w.catalog, "--s3", w.s3, expected}, flags...)
	out, err := run(w.s3Env, python, args...)
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
		return
	}
	t.Logf("%s: %s", w.name, strings.TrimSpace(out))
}
