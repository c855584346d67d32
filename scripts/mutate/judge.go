package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"

	"weir/scripts/overlay"
)

// unmutatedLimit is how long the tests of one package may take.
const unmutatedLimit = 15 * time.Minute

// judge returns the test that notices the mutant, or that the tests did not end;
// "" if all pass. The error is a *overlay.CompileError if it does not compile.
func (m *mutation) judge(ctx context.Context, t target, s site) (by string, err error) {
	source, err := fs.ReadFile(m.files, s.file)
	if err != nil {
		return "", fmt.Errorf("read a file to mutate: %w", err)
	}
	replaced := map[string]string{s.file: s.mutate(string(source))}
	near := s.near()
	for _, u := range t.tests {
		if u.files == "" && u.pkg == near.pkg && near.pattern(m.files) != "" {
			if by, err = m.test(ctx, near, replaced); by != "" || err != nil {
				return by, err
			}
		}
		if by, err = m.test(ctx, u, replaced); by != "" || err != nil {
			return by, err
		}
	}
	return "", nil
}

// test runs a suite on the mutant.
func (m *mutation) test(ctx context.Context, u suite, replaced map[string]string) (by string, err error) {
	limit, err := m.limitOf(ctx, u)
	if err != nil {
		return "", err
	}
	return m.withTests(ctx, u.pkg, replaced, func(tests *overlay.Binary) (string, error) {
		return noticed(ctx, tests, limit, "-test.run", u.pattern(m.files))
	})
}

// withTests builds the tests of pkg, calls do with them, and removes them.
func (m *mutation) withTests(ctx context.Context, pkg string, replaced map[string]string, do func(*overlay.Binary) (string, error)) (by string, err error) {
	scratch, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	tests, err := overlay.Build(ctx, m.root, scratch, pkg, replaced)
	if err != nil {
		return "", err
	}
	return do(tests)
}

// limitOf returns how long a suite may take on a mutant: three times what it takes
// on the product, which is measured once, or --limit.
func (m *mutation) limitOf(ctx context.Context, u suite) (time.Duration, error) {
	if m.limit > 0 {
		return m.limit, nil
	}
	normal, known := m.normal[u]
	if !known {
		_, err := m.withTests(ctx, u.pkg, nil, func(tests *overlay.Binary) (string, error) {
			r, err := tests.Run(ctx, unmutatedLimit, "-test.failfast", "-test.run", u.pattern(m.files))
			if err == nil && !r.Passed {
				err = fmt.Errorf("the tests of %s fail on the product as it is:\n%s", u.pkg, r.Output)
			}
			normal = r.Took
			return "", err
		})
		if err != nil {
			return 0, err
		}
		fmt.Printf("the tests of %s take %.0f s  %s\n", u.pkg, normal.Seconds(), u.files)
		m.normal[u] = normal
	}
	return 3*normal + 10*time.Second, nil
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// noticed runs tests and says which of them failed first.
func noticed(ctx context.Context, tests *overlay.Binary, limit time.Duration, args ...string) (by string, err error) {
	r, err := tests.Run(ctx, limit, append(args, "-test.failfast")...)
	switch {
	case err != nil:
		return "", err
	case ctx.Err() != nil:
		return "", ctx.Err()
	case r.TimedOut:
		return "did not end", nil
	case r.Passed:
		return "", nil
	}
	if m := failedTest.FindStringSubmatch(r.Output); m != nil {
		return m[1], nil
	}
	return "panicked", nil
}
