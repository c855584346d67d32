package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile writes a small file atomically and durably: a reader, now or after a
// power failure, finds the old content or all of the new.
func WriteFile(path string, text []byte, perm os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails after success, when the file has been renamed
	if err := writeSynced(f, text, perm); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncPath(filepath.Dir(path))
}

func writeSynced(f *os.File, text []byte, perm os.FileMode) error {
	defer func() { _ = f.Close() }() // after an error; a second Close does no harm
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
