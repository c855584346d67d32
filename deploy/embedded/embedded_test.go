package embedded

import (
	"context"
	"fmt"
	"os"
	"testing"

	"weir/schemas/objects"
)

// parts are open for all tests: the store allows no second one in a process.
var parts *Parts

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "embedded")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer os.RemoveAll(dir)
	parts, err = Open(context.Background(), Config{Dir: dir}) //nolint:forbidigo // no test is running yet
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer parts.Close()
	m.Run()
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
