package main

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// loaded loads settings like a command.
func loaded(t *testing.T, file string, environ, args []string) (Config, error) {
	t.Helper()
	p := &process{environ: environ}
	if file != "" {
		path := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	cfg, _, err := p.load(args, nil)
	return cfg, err
}

func TestPrecedenceOfFlagsVariablesAndFile(t *testing.T) {
	cfg, err := loaded(t, "processor: {cut_age: 1s, dedupe_window: 2h}\ningest:\n  max_in_flight: 7\n",
		[]string{"WEIR_PROCESSOR_CUT_AGE=2s", "WEIR_PROCESSOR_DEDUPE_WINDOW=3h"},
		[]string{"--processor.cut-age", "3s"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Processor.CutAge, 3*time.Second; got != want {
		t.Errorf("cut_age = %s, want the flag's %s", got, want)
	}
	if got, want := cfg.Processor.DedupeWindow, 3*time.Hour; got != want {
		t.Errorf("dedupe_window = %s, want the variable's %s", got, want)
	}
	if got, want := cfg.Ingest.MaxInFlight, 7; got != want {
		t.Errorf("max_in_flight = %d, want the file's %d", got, want)
	}
	if got, want := cfg.Query.Lookback, 8760*time.Hour; got != want {
		t.Errorf("lookback = %s, want the default %s", got, want)
	}
}

func TestEverySpellingOfAFlag(t *testing.T) {
	for _, args := range [][]string{
		{"--processor.cut-age", "5s"},
		{"--processor.cut-age=5s"},
		{"-processor.cut-age=5s"},
	} {
		cfg, err := loaded(t, "", nil, args)
		if err != nil || cfg.Processor.CutAge != 5*time.Second {
			t.Errorf("%q: cut age %s, %v; want 5s", args, cfg.Processor.CutAge, err)
		}
	}
	cfg, err := loaded(t, "", nil, []string{"--processor.adopt", "--kafka.brokers", "a:1, b:2", "--kafka.tls=false"})
	if err != nil || !cfg.Processor.Adopt || !slices.Equal(cfg.Kafka.Brokers, []string{"a:1", "b:2"}) {
		t.Errorf("adopt %t, brokers %q, %v", cfg.Processor.Adopt, cfg.Kafka.Brokers, err)
	}
}

func TestListsOfAFile(t *testing.T) {
	for _, file := range []string{"kafka: {brokers: [a:1, b:2]}", "kafka:\n  brokers:\n  - a:1\n  - b:2\n", "kafka: {brokers: 'a:1,b:2'}"} {
		cfg, err := loaded(t, file, nil, nil)
		if err != nil || !slices.Equal(cfg.Kafka.Brokers, []string{"a:1", "b:2"}) {
			t.Errorf("%q: %q, %v", file, cfg.Kafka.Brokers, err)
		}
	}
}

func TestAllMistakesAreReported(t *testing.T) {
	_, err := loaded(t, "lissten: x\nprocessor:\n  cut_age: soon\n  cut_age: 1s\n  nonsense: 1\nquery: 5\nlog: {level: loud}\n",
		[]string{"WEIR_INGEST_MAX_IN_FLIGHT=many", "WEIR_WEIR_SERVICE_HOST=10.0.0.1", "WEIR_HTTP_MAX_CONECTIONS=5"},
		[]string{"--embedded.log-cap", "12 parsecs", "--no-such-thing", "x", "--processor.adopt=perhaps", "--data"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`unknown setting "lissten", do you mean "listen"?`, `line 3: processor.cut_age: "soon" is not a time`,
		"processor.cut_age is set twice", `unknown setting "processor.nonsense"`, "query is a section",
		`"loud" is none of debug, info, warn, error`, `WEIR_INGEST_MAX_IN_FLIGHT: "many" is not a number`,
		`--embedded.log-cap: "12 parsecs" is not a size`, `unknown flag "--no-such-thing"`,
		`--processor.adopt: "perhaps" is not true or false`, "flag --data needs a value", "unknown variable WEIR_HTTP_MAX_CONECTIONS, do you mean WEIR_HTTP_MAX_CONNECTIONS?",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s\nin:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "SERVICE_HOST") {
		t.Errorf("a variable that Kubernetes sets is reported as a setting:\n%v", err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "500": 500, "1B": 1, "64KiB": 64 << 10, "16 MiB": 16 << 20, "2GiB": 2 << 30} {
		if got, err := parseBytes(text); err != nil || int64(got) != want {
			t.Errorf("%q = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "MiB", "99999999999GiB", "1KB"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q = %d, want an error", text, got)
		}
	}
}

// TestExampleFile compares deploy/config.example.yaml with the structs: run
// `go test ./deploy/weir -run ExampleFile -update` after changing a setting.
func TestExampleFile(t *testing.T) {
	const path = "../config.example.yaml"
	if *update {
		if err := os.WriteFile(path, []byte(exampleFile()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exampleFile(), string(file)); diff != "" {
		t.Errorf("%s is out of date (-want +got); run this test with -update\n%s", path, diff)
	}
	fromFile, err := loaded(t, string(file), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	fromNothing, err := loaded(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromNothing, fromFile, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the example differs from the defaults (-defaults +example):\n%s", diff)
	}
	if err := fromNothing.validate(); err != nil {
		t.Errorf("the defaults do not work: %v", err)
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	_, err := (&process{}).loadAll([]string{
		"--tls.cert", "x.pem", "--processor.dedupe-window", "10m", "--s3.export-bucket", "v3",
		"--processor.listen", ":9095", "--kafka.brokers", "a:1", "--query.deflate-level", "12", "--ingest.max-in-flight", "0", "stray",
		"--http.trusted-proxies", "10.0.0.0/8,proxy",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"tls.cert and tls.key go together", "processor.dedupe_window is 10m0s", `s3.export_bucket is "v3"`,
		"processor.advertise must be set", "kafka.brokers is set, but weir all brings its own", "query.deflate_level is 12", "ingest.max_in_flight must be more than 0",
		`unexpected argument "stray"`, `http.trusted_proxies has an item that cannot work: "proxy" is neither`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s\nin:\n%v", want, err)
		}
	}
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("listen: 127.0.0.1:1\nquery: {lookback: 0s}\n"))
	f.Add([]byte("a: &a [*a]\n? {b: c}\n: d\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		var cfg Config
		settings, _ := listSettings(&cfg)
		_ = parseYAML(text, settings) // must return without a panic
	})
}

// TestNumbersThatCannotWork sets each number to 0 and below. Whether it may be depends on
// its default, and on its tag for those that are named here.
func TestNumbersThatCannotWork(t *testing.T) {
	mayBeZero := []string{
		"http.header_timeout", "http.idle_timeout", "http.drain_timeout", "embedded.log_cap", "embedded.min_free",
		"topic.replication", "topic.min_isr", "lake.footer_bytes", "ingest.max_names", "ingest.read_timeout", "ingest.publish_timeout",
		"processor.dedupe_bytes", "processor.drain_timeout", "processor.compact_every", "processor.keep_snapshots",
		"query.lookback", "query.reach_wait", "query.scan_wait", "query.write_stall", "query.download_ttl", "query.close_every",
	}
	cfg, err := loaded(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	settings, _ := listSettings(&cfg)
	numbers := 0
	for _, s := range settings {
		was, isNumber := s.number()
		if !isNumber {
			continue
		}
		numbers++
		for n, want := range map[int64]bool{
			0:  s.def != "0" && !slices.Contains(mayBeZero, s.key),
			-1: s.field.Kind() == reflect.Int && !slices.Contains(mayBeZero, s.key),
		} {
			s.field.SetInt(n)
			err := cfg.validate()
			if refused := err != nil && strings.Contains(err.Error(), s.key+" "); refused != want && (n == 0 || want) {
				t.Errorf("%s = %d: %v, want it refused: %t", s.key, n, err, want)
			}
		}
		s.field.SetInt(was)
	}
	if numbers < 60 {
		t.Errorf("%d numbers, want all of them", numbers)
	}
}
