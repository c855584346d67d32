package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"weir/schemas/objects"
)

// parts are open for all tests: the store allows no second one in a process.
var parts *Parts

func TestMain(m *testing.M) {
	os.Exit(withParts(m))
}

func withParts(m *testing.M) int {
	dir, err := os.MkdirTemp("", "embedded")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	parts, err = Open(context.Background(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer parts.Close()
	return m.Run()
}

func bucket(t *testing.T, name string) *objects.Bucket {
	t.Helper()
	c, err := objects.Open(t.Context(), parts.S3)
	if err != nil {
		t.Fatal(err)
	}
	b := c.Bucket(name)
	for range 2 { // a second time it is there already
		if err := b.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}
