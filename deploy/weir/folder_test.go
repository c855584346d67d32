package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/deploy/embedded"
)

func TestFolderIsLockedByOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	unlock, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir); !errors.Is(err, embedded.ErrLocked) {
		t.Errorf("second start: %v, want %v", err, embedded.ErrLocked)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = openFolder(dir); err != nil {
		t.Fatalf("start after the first has ended: %v", err)
	}
	_ = unlock()
}

func TestFolderOfANewerWeirIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, formatFile), []byte(`{"format":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "has format 2 and this weir knows 1") {
		t.Errorf("open: %v, want an error that names both formats", err)
	}
}

func TestFolderWithOtherFilesIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("open: %v, want an error that names the file", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lock")); err == nil {
		t.Error("a lock was left in a folder with other files")
	}
}

func TestFolderOfAKilledFirstStartIsUsed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lock", "." + formatFile + ".123"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = unlock()
}
