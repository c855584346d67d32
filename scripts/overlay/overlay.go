// Package overlay builds the tests of a package with source files replaced, and
// runs them: the working tree stays as it is, and the product needs no switch for
// code that is wrong on purpose.
package overlay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CompileError says that the replaced files do not compile.
type CompileError struct{ Output string }

func (e *CompileError) Error() string { return "does not compile:\n" + e.Output }

// Binary is a test binary.
type Binary struct {
	path string
	dir  string // of the package: tests run there
}

// Result is what a run of a Binary has come to.
type Result struct {
	Passed   bool
	TimedOut bool
	Output   string // of the tests, both streams
	Took     time.Duration
}

// Root returns the folder of the module that the working directory is in.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Build compiles the tests of pkg, which is like ./processor, with replaced:
// by path below root, the text that stands in the place of a file. What it makes
// lies in scratch. The error is a *CompileError if the compiler refuses the code.
func Build(ctx context.Context, root, scratch, pkg string, replaced map[string]string) (*Binary, error) {
	list, err := writeOverlay(root, scratch, replaced)
	if err != nil {
		return nil, err
	}
	b := &Binary{path: filepath.Join(scratch, strings.ReplaceAll(strings.TrimPrefix(pkg, "./"), "/", ".")+".test"), dir: filepath.Join(root, pkg)}
	// Without symbols the linker, which is most of the time, is faster.
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", list, "-ldflags=-s -w", "-o", b.path, pkg) //nolint:gosec // the arguments are this repository's packages
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if _, refused := errors.AsType[*exec.ExitError](err); refused && ctx.Err() == nil {
		return nil, &CompileError{Output: string(out)}
	}
	if err != nil {
		return nil, fmt.Errorf("build the tests of %s: %w", pkg, err)
	}
	if _, err := os.Stat(b.path); err != nil {
		return nil, fmt.Errorf("%s has no tests: %w", pkg, err)
	}
	return b, nil
}

// writeOverlay writes the replaced files and the list of them that the go command
// reads, and returns the path of the list.
func writeOverlay(root, scratch string, replaced map[string]string) (string, error) {
	replace := map[string]string{}
	for name, text := range replaced {
		copied := filepath.Join(scratch, strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write the replacement of %s: %w", name, err)
		}
		replace[filepath.Join(root, name)] = copied
	}
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encode the overlay: %w", err)
	}
	list := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(list, encoded, 0o600); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return list, nil
}

// Run runs the tests with args, such as -test.run, and ends them after limit.
func (b *Binary) Run(ctx context.Context, limit time.Duration, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.path, args...) //nolint:gosec // a test binary that Build has made
	cmd.Dir, cmd.WaitDelay = b.dir, 10*time.Second
	began := time.Now()
	out, err := cmd.CombinedOutput()
	r := Result{Passed: err == nil, TimedOut: errors.Is(ctx.Err(), context.DeadlineExceeded), Output: string(out), Took: time.Since(began)}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed && !r.TimedOut {
		return r, fmt.Errorf("run %s: %w", b.path, err)
	}
	return r, nil
}
