package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/deploy/embedded"
)

// cluster runs the services as separate processes over an embedded broker and
// store of the test.
type cluster struct {
	t     *testing.T
	parts *embedded.Parts
	flags []string // of every process
	log   lockedBuffer
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir) // the store changes the working directory; Chdir restores it after the test
	parts, err := embedded.Open(t.Context(), embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, parts: parts, flags: []string{
		"--database.url", "sqlite:" + filepath.Join(dir, "registry.db"),
		"--kafka.brokers", parts.Kafka,
		"--kafka.sasl", "scram-sha-256", "--kafka.user", parts.Login.User, "--kafka.password", parts.Login.Password,
		"--s3.endpoint", parts.S3.Endpoint, "--s3.access-key", parts.S3.AccessKey, "--s3.secret-key", parts.S3.SecretKey,
		"--topic.replication", "1", "--topic.min-isr", "1",
		"--cluster.secret", "sixteen characters and more",
		"--processor.lease-ttl", "2s", "--processor.cut-age", "1s",
	}}
	t.Cleanup(func() {
		parts.Close()
		if t.Failed() {
			t.Logf("standard error of the processes:\n%s", lastBytes(c.log.String(), 8000))
		}
	})
	return c
}

// clusterProcess is one process of a cluster.
type clusterProcess struct {
	url string
	cmd *exec.Cmd
}

func (c *cluster) start(name string) clusterProcess { return c.startAt("", name) }

// startAt starts a service with the binary at path; "" is this test binary.
func (c *cluster) startAt(path, name string) clusterProcess {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	s := clusterProcess{url: "http://" + addr, cmd: weirAt(c.t.Context(), path, append([]string{name, "--listen", addr}, c.flags...)...)}
	s.cmd.Stderr = &c.log
	if err := s.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.end(syscall.SIGKILL) })
	return s
}

func (s clusterProcess) end(signal syscall.Signal) {
	_ = s.cmd.Process.Signal(signal)
	_ = s.cmd.Wait() // fails the second time, which does not matter
}

func (c *cluster) waitReady(services ...clusterProcess) {
	c.t.Helper()
	for _, s := range services {
		c.eventually(s.url+" ready", func() error {
			resp, err := http.Get(s.url + "/readyz")
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
}

func (c *cluster) eventually(what string, try func() error) {
	c.t.Helper()
	(&testServer{t: c.t}).waitFor(what, try)
}

// admin runs `weir admin` and returns a field of its answer.
func (c *cluster) admin(field string, args ...string) string {
	c.t.Helper()
	cmd := weir(c.t.Context(), append(append([]string{"admin"}, args...), "--json", "--database.url", c.flags[1])...)
	out, err := cmd.Output()
	var answer map[string]any
	if jsonErr := json.Unmarshal(out, &answer); err != nil || jsonErr != nil {
		c.t.Fatalf("weir admin %q: %v %s", args, err, out)
	}
	return fmt.Sprint(answer[field])
}

// TestClusterOfSeparateProcesses checks that events acknowledged by the ingest
// process are in the answers of the query process before they are in the lake,
// that another processor takes over the shards of a killed one, and that the
// balance closes.
func TestClusterOfSeparateProcesses(t *testing.T) {
	c := newCluster(t)
	ingest := c.start("ingest")
	owners := []clusterProcess{c.start("processor"), c.start("processor")}
	queries := c.start("query")
	c.waitReady(append(owners, ingest, queries)...)

	traffic := c.newTraffic()
	traffic.send(ingest, 200)
	traffic.counted(queries)
	owners[0].end(syscall.SIGKILL)
	traffic.send(ingest, 200)
	traffic.counted(queries)
	c.closes(int64(traffic.sent))
	owners[1].end(syscall.SIGTERM)
	traffic.counted(queries) // without an owner the answer comes from the lake alone, which has all events
}

// traffic is what a test sends into a cluster, to one product.
type traffic struct {
	*cluster
	token       string
	key, secret string
	sent        int
}

// newTraffic makes an account with a product, a data source and a token.
func (c *cluster) newTraffic() *traffic {
	c.t.Helper()
	account := c.admin("account_id", "account", "create", "--name", "A")
	c.admin("product_id", "product", "create", "--account", account, "--id", "1001", "--name", "P")
	token := c.admin("token", "token", "create", "--account", account)
	source := weir(c.t.Context(), "admin", "source", "create", "--product", "1001", "--json", "--database.url", c.flags[1])
	var key struct{ Key, Secret string }
	if out, err := source.Output(); err != nil || json.Unmarshal(out, &key) != nil {
		c.t.Fatalf("source create: %v %s", err, out)
	}
	return &traffic{cluster: c, token: token, key: key.Key, secret: key.Secret}
}

// send sends n events in one request to an ingest process.
func (t *traffic) send(ingest clusterProcess, n int) {
	t.t.Helper()
	var items []string
	for range n {
		items = append(items, fmt.Sprintf(`{"euid":%d,"event_name":"e","itime":%d,"random_id":"%d","properties":{"$value":%d.50}}`,
			1+t.sent%50, time.Now().UnixMilli(), t.sent, t.sent))
		t.sent++
	}
	(&testServer{t: t.t, addr: strings.TrimPrefix(ingest.url, "http://")}).postEvents(t.key, t.secret, `{"data":[`+strings.Join(items, ",")+`]}`)
}

// counted waits until each of the query processes counts what was sent.
func (t *traffic) counted(queries ...clusterProcess) {
	t.t.Helper()
	for _, q := range queries {
		t.eventually(fmt.Sprintf("counting %d events at %s", t.sent, q.url), func() error {
			n, err := countAt(q.url, t.token, time.Now().UTC().Format(time.DateOnly))
			if err != nil || n != t.sent {
				return fmt.Errorf("counted %d of %d, error %w", n, t.sent, err)
			}
			return nil
		})
	}
}

// closes waits until all events are in the lake and checks the balance.
func (c *cluster) closes(stored int64) {
	c.t.Helper()
	c.eventually("in the lake", func() error {
		out, err := weir(c.t.Context(), append([]string{"check", "--json", "--deep"}, c.flags...)...).Output()
		var b balance
		if jsonErr := json.Unmarshal(out, &b); jsonErr != nil {
			return fmt.Errorf("check: %w, %s", err, out)
		}
		if sum := b.totals(); !b.Closes || sum.InFlight > 0 || sum.Stored != stored {
			return fmt.Errorf("not yet: %+v", b)
		}
		return nil
	})
}
