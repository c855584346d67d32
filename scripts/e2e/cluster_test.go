//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// run runs a tool to its end and returns all that it printed.
func run(env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// server starts one of scripts/e2e/servers and returns the NAME=VALUE lines it
// printed. The server is stopped when the test ends.
func server(t *testing.T, name, dir string) map[string]string {
	t.Helper()
	script := "servers/" + name + ".sh"
	out, err := exec.Command(script, "start", dir).Output()
	if err != nil {
		t.Fatalf("%s start: %v\n%s", script, err, stderrOf(err))
	}
	t.Cleanup(func() {
		if out, err := run(nil, script, "stop", dir); err != nil {
			t.Errorf("%s stop: %v\n%s", script, err, out)
		}
	})
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}
	return values
}

func stderrOf(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(exit.Stderr)
	}
	return ""
}

// cluster starts Apache Kafka, an S3 server and PostgreSQL, and on them one
// `weir ingest`, two `weir processor` and two `weir query`.
func cluster(t *testing.T) *installation {
	t.Helper()
	dir := folder(t, "cluster-")
	kafka, s3, pg := server(t, "kafka", dir+"/kafka"), server(t, "s3", dir+"/s3"), server(t, "postgres", dir+"/postgres")
	w := &installation{
		name:    "cluster",
		catalog: strings.Replace(pg["URL"], "postgres://", "postgresql+psycopg2://", 1),
		s3:      s3["ENDPOINT"],
		s3Env:   []string{"AWS_ACCESS_KEY_ID=" + s3["ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY=" + s3["SECRET_KEY"]},
	}
	w.env = []string{
		"WEIR_KAFKA_BROKERS=" + kafka["BROKERS"], "WEIR_TOPIC_REPLICATION=1", "WEIR_TOPIC_MIN_ISR=1", "WEIR_TOPIC_SHARDS=6",
		"WEIR_S3_ENDPOINT=" + s3["ENDPOINT"], "WEIR_S3_ACCESS_KEY=" + s3["ACCESS_KEY"], "WEIR_S3_SECRET_KEY=" + s3["SECRET_KEY"],
		"WEIR_DATABASE_URL=" + pg["URL"], "WEIR_CLUSTER_SECRET=only-for-this-test-" + kafka["BROKERS"],
	}
	w.ingests = w.services(t, "ingest", 1)
	w.processors = w.services(t, "processor", 2)
	w.queries = w.services(t, "query", 2)
	for _, p := range w.processes() {
		p.launch(t)
	}
	t.Cleanup(func() {
		for _, p := range w.processes() {
			p.end(t, syscall.SIGTERM)
		}
	})
	for _, p := range w.processes() {
		p.awaitReady(t)
	}
	return w
}

// services prepares n processes of one kind.
func (w *installation) services(t *testing.T, kind string, n int) []*process {
	t.Helper()
	var group []*process
	for i := range n {
		addr := freeAddr(t)
		name := fmt.Sprintf("%s-%d", kind, i+1)
		p := &process{name: "weir " + name, url: "http://" + addr, log: logFile(t, name), env: w.env}
		p.args = append([]string{kind, "--listen", addr}, settings...)
		group = append(group, p)
	}
	return group
}
