// Package repocheck holds the rules of the repository that no linter knows:
// who may import whom, which folder may touch which outside module, one
// package comment per package, files with one job, words that are retired.
// The rules are tests that read the source files themselves, so that `go test`
// notices when one changes.
package repocheck

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// skippedDirs are the folders that hold no source of ours: what git and the
// build keep, and what a run of Weir or of its tests leaves behind.
var skippedDirs = []string{".git", ".tools", ".e2e", "bin", "weir-data", "node_modules"}

// Files returns the path of every source file of the repository, testdata
// included, in lexical order.
func Files(repository fs.FS) ([]string, error) {
	var files []string
	err := fs.WalkDir(repository, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skippedDirs, d.Name()) {
			return fs.SkipDir
		}
		if d.Type().IsRegular() && d.Name() != ".git" { // .git is a file in a worktree
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the files of the repository: %w", err)
	}
	return files, nil
}

// GoFiles returns the Go files of Files outside testdata folders.
func GoFiles(repository fs.FS) ([]string, error) {
	files, err := Files(repository)
	return slices.DeleteFunc(files, func(p string) bool {
		return !strings.HasSuffix(p, ".go") || strings.Contains("/"+p, "/testdata/")
	}), err
}
