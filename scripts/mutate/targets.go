package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
)

// target is a package that is mutated.
type target struct {
	dir   string
	tests []suite // that look at it, the quickest first
}

// suite is a package with tests, or some of them.
type suite struct {
	pkg   string
	files string // pattern of the test files below pkg whose tests are run; "" means all
}

// targets are the packages that the answers of Weir rest on. Where the tests of a
// package stand in another one, that is named too. All tests of query would take
// minutes for each mutant that survives: its tests of views are those that look at
// query/view.
func targets() []target {
	return []target{
		{dir: "schemas/lake", tests: []suite{{pkg: "./schemas/lake"}, {pkg: "./processor"}}},
		{dir: "schemas/rollup", tests: []suite{{pkg: "./schemas/rollup"}, {pkg: "./schemas/lake"}, {pkg: "./query", files: "view*_test.go"}}},
		{dir: "processor", tests: []suite{{pkg: "./processor"}}},
		{dir: "query/view", tests: []suite{{pkg: "./query/view"}, {pkg: "./query", files: "view*_test.go"}, {pkg: "./query", files: "eventlist*_test.go"}, {pkg: "./query", files: "reportoptouts_test.go"}}},
	}
}

// sitesOf returns all mutants of the files of t, in an order that seed decides.
func sitesOf(root fs.FS, t target, seed uint64) ([]site, error) {
	files, err := fs.Glob(root, t.dir+"/*.go")
	if err != nil {
		return nil, err
	}
	var all []site
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return nil, fmt.Errorf("read a file to mutate: %w", err)
		}
		if generated.Match(text) {
			continue
		}
		sites, err := findSites(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, sites...)
	}
	rnd := rand.New(rand.NewPCG(seed, uint64(len(t.dir)))) //nolint:gosec // chooses mutants, guards nothing
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// generated marks files that no person writes.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// near is the suite of the test file of the same name as the mutated one, whose
// tests are the most likely to fail.
func (s site) near() suite {
	return suite{pkg: "./" + path.Dir(s.file), files: strings.TrimSuffix(path.Base(s.file), ".go") + "_test.go"}
}

// pattern returns a pattern of the names of the tests of u; "" if there are none.
func (u suite) pattern(root fs.FS) string {
	if u.files == "" {
		return "."
	}
	files, err := fs.Glob(root, path.Join(u.pkg, u.files))
	if err != nil {
		return ""
	}
	var names []string
	for _, name := range files {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return ""
		}
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// survivors is the list of mutants that no test can notice or need notice, with
// the reason of each:
//
//	file:function:operator `code`:reason
const survivors = "scripts/mutate/survivors.txt"

// readSurvivors returns the reasons by the name of the site.
func readSurvivors(root fs.FS) (map[string]string, error) {
	text, err := fs.ReadFile(root, survivors)
	if err != nil {
		return nil, fmt.Errorf("read the list of survivors: %w", err)
	}
	reasons := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndex(line, "`:")
		if end < 0 || strings.TrimSpace(line[end+2:]) == "" {
			return nil, fmt.Errorf("%s:%d: is not file:function:operator `code`:reason", survivors, i+1)
		}
		reasons[line[:end+1]] = strings.TrimSpace(line[end+2:])
	}
	return reasons, nil
}

// stale returns the listed names that no site has any more.
func stale(reasons map[string]string, all [][]site) []string {
	left := map[string]bool{}
	for name := range reasons {
		left[name] = true
	}
	for _, sites := range all {
		for _, s := range sites {
			delete(left, s.name())
		}
	}
	var names []string
	for name := range left {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
