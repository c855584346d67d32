//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// expectation holds the figures of one product's events, computed from the same
// files by a program that shares no code with Weir.
type expectation struct {
	Totals struct {
		Events int64 `json:"events"`
	} `json:"totals"`
	ByName []struct {
		Name string `json:"event_name"`
		N    int64  `json:"n"`
	} `json:"by_name"`
	ByYear []struct {
		Year   int   `json:"y"`
		Events int64 `json:"events"`
	} `json:"by_year"`
	OneClient struct {
		EUID string `json:"euid"`
		N    int    `json:"n"`
	} `json:"one_client"`
}

// corpus holds files of events by product id, and their expected figures.
type corpus struct {
	files    map[string]string
	expected string // path of the expectations
	products map[string]expectation
}

// realEvents returns the events in sharedData where that folder exists, and
// events of the load generator otherwise.
var realEvents = sync.OnceValues(func() (corpus, error) {
	if _, err := os.Stat(sharedData); errors.Is(err, fs.ErrNotExist) {
		return generated()
	}
	return corpusAt(sharedData, ".ndjson.zst")
})

// generated writes events of three products with the load generator, which also
// computes their figures.
func generated() (corpus, error) {
	dir := filepath.Join(scratchFolder, "generated")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return corpus{}, err
	}
	merged := map[string]json.RawMessage{}
	for i, product := range []string{"1001", "1002", "1003"} {
		expected := filepath.Join(dir, product+".json")
		out, err := exec.Command("go", "run", "../loadgen", "--product", product, "--seed", string(rune('1'+i)),
			"--events", "60000", "--clients", "900", "--days", "900",
			"--out", filepath.Join(dir, "product-"+product+".ndjson"), "--expected", expected).CombinedOutput()
		if err != nil {
			return corpus{}, errors.New(string(out))
		}
		text, err := os.ReadFile(expected)
		if err != nil {
			return corpus{}, err
		}
		one := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &one); err != nil {
			return corpus{}, err
		}
		merged[product] = one[product]
	}
	text, err := json.Marshal(merged)
	if err != nil {
		return corpus{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "expected.json"), text, 0o644); err != nil {
		return corpus{}, err
	}
	return corpusAt(dir, ".ndjson")
}

func corpusAt(dir, ending string) (corpus, error) {
	c := corpus{expected: filepath.Join(dir, "expected.json"), files: map[string]string{}}
	text, err := os.ReadFile(c.expected)
	if err != nil {
		return corpus{}, err
	}
	if err := json.Unmarshal(text, &c.products); err != nil {
		return corpus{}, err
	}
	for product := range c.products {
		c.files[product] = filepath.Join(dir, "product-"+product+ending)
	}
	return c, nil
}

func events(t *testing.T) corpus {
	t.Helper()
	c, err := realEvents()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c corpus) ids() []string {
	ids := make([]string, 0, len(c.products))
	for id := range c.products {
		ids = append(ids, id)
	}
	return ids
}

func runWithInput(env []string, input, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = io.Reader(strings.NewReader(input))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
