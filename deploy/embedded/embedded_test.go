package embedded

import (
	"context"
	"fmt"
	"os"
	"testing"

	"weir/schemas/objects"
)

// parts is shared by all tests: only one store may be open in a process.
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
	for range 2 { // the second time it exists already
		if err := b.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}
