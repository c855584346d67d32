package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/deploy/embedded"
)

// Files of a data folder, besides those of package embedded.
const (
	formatFile   = "format.json" // version of the folder's layout
	runFile      = "run.json"    // how to reach the running server, 0600
	demoFile     = "demo.json"   // credentials that the first start made, 0600
	databaseFile = "weir.db"     // SQLite: registry and catalog
	scratchDir   = "scratch"     // caches; may be deleted while no server runs
)

// dataFormat is the version of the layout that this binary writes. Raise it when
// an older binary could not read, or would damage, what a newer one wrote.
const dataFormat = 1

// readFolderFile returns the content of one of the files above.
func readFolderFile(dir, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the operator names the folder
}

// folderFormat is the content of format.json.
type folderFormat struct {
	Format int `json:"format"`
}

// openFolder locks the data folder for this process and creates it if it does not
// exist. It checks the folder before it creates the lock, so that a wrong path
// leaves nothing behind.
func openFolder(dir string) (unlock func() error, err error) {
	if err := inspectFolder(dir); err != nil && !errors.Is(err, errNoFolder) {
		return nil, err
	}
	unlock, err = embedded.Lock(dir)
	if err != nil {
		return nil, err
	}
	if err := claimFolder(dir); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// claimFolder writes the format into a new folder. The caller holds the lock.
func claimFolder(dir string) error {
	err := inspectFolder(dir)
	if !errors.Is(err, errNoFolder) {
		return err
	}
	text, err := json.Marshal(folderFormat{dataFormat})
	if err != nil {
		return err
	}
	return embedded.WriteFile(filepath.Join(dir, formatFile), text, 0o600)
}

// errNoFolder means that there is no data folder yet and that it may be created.
var errNoFolder = errors.New("no weir data folder")

// inspectFolder returns nil when this binary can use dir, errNoFolder when dir may
// be created, and otherwise the reason against it.
func inspectFolder(dir string) error {
	text, err := readFolderFile(dir, formatFile)
	if errors.Is(err, fs.ErrNotExist) {
		return emptyFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("read the format of %s: %w", dir, err)
	}
	var f folderFormat
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("read %s of %s: %w", formatFile, dir, err)
	}
	if f.Format > dataFormat {
		return fmt.Errorf("data folder %s has format %d and this weir knows %d: use the newer weir that wrote it", dir, f.Format, dataFormat)
	}
	return nil
}

// emptyFolder returns errNoFolder, or an error when dir has other files.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, errNoFolder)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		// A start that was killed may have left the lock and a half-written format.
		if name := e.Name(); name != "lock" && name != "lost+found" && !strings.HasPrefix(name, "."+formatFile) {
			return fmt.Errorf("%s is not a weir data folder and not empty (%s): choose another --data", dir, name)
		}
	}
	return fmt.Errorf("%s: %w", dir, errNoFolder)
}
