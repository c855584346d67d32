package repocheck

import (
	"go/ast"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const designDoc = "schemas/DESIGN.md"

// docs returns the Markdown files of the repository and their text.
func docs(t *testing.T) map[string]string {
	t.Helper()
	return texts(t, func(p string) bool { return strings.HasSuffix(p, ".md") })
}

// texts returns the files for which wanted is true, and their text.
func texts(t *testing.T, wanted func(p string) bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, p := range allFiles(t) {
		if !wanted(p) {
			continue
		}
		text, err := fs.ReadFile(os.DirFS(root), p)
		if err != nil {
			t.Fatal(err)
		}
		found[p] = string(text)
	}
	return found
}

func allFiles(t *testing.T) []string {
	t.Helper()
	files, err := Files(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	mentionedPath = regexp.MustCompile(`[\w.*-]+(?:/[\w.*-]+)*\.(?:go|md|ya?ml|txt|txtar|proto|sql|sh|py|js)\b`)
	mentionedLink = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	mentionedTest = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*\*?`)
	webAddress    = regexp.MustCompile(`https?://[^\s)>]+`)
)

// changelog speaks of what was, so it may name files and tests that are gone.
const changelog = "deploy/CHANGELOG.md"

// noFiles look like files in a document and are none of the repository's:
// examples, modules of other languages, what a user makes.
var noFiles = []string{"x.txtar", "pyiceberg.catalog.sql", "weir.yaml"}

func TestDocsMentionFilesThatExist(t *testing.T) {
	files := allFiles(t)
	for doc, text := range docs(t) {
		if doc == changelog {
			continue
		}
		text = webAddress.ReplaceAllString(text, "")
		for _, p := range mentionedPath.FindAllString(text, -1) {
			if !mentionExists(files, doc, p) {
				t.Errorf("%s: mentions %s, which does not exist", doc, p)
			}
		}
		for _, m := range mentionedLink.FindAllStringSubmatch(text, -1) {
			if _, err := fs.Stat(os.DirFS(root), path.Join(path.Dir(doc), m[1])); err != nil {
				t.Errorf("%s: links to %s, which does not exist", doc, m[1])
			}
		}
	}
}

// mentionExists reports whether a document's mention of a file, which may
// contain *, names one: from the root, from the document's folder or the
// testdata in it, or, if it is a bare name, from anywhere.
func mentionExists(files []string, doc, mention string) bool {
	if slices.Contains(noFiles, mention) {
		return true
	}
	patterns := []string{mention, path.Join(path.Dir(doc), mention), path.Join(path.Dir(doc), "testdata", mention)}
	return slices.ContainsFunc(files, func(f string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, f) }) ||
			!strings.Contains(mention, "/") && matches(mention, path.Base(f))
	})
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// testNames returns the functions of all test files.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

func TestDocsMentionTestsThatExist(t *testing.T) {
	names := testNames(t)
	for doc, text := range texts(t, func(p string) bool {
		return strings.HasSuffix(p, ".md") || strings.HasSuffix(p, ".sh") || p == "Makefile" || p == ".ci/run"
	}) {
		if doc == changelog {
			continue
		}
		for _, name := range mentionedTest.FindAllString(text, -1) {
			if !strings.HasSuffix(doc, ".md") {
				name = strings.TrimSuffix(name, "*") + "*" // go test -run takes a pattern
			}
			if !testExists(names, name) {
				t.Errorf("%s: mentions %s, which does not exist", doc, name)
			}
		}
	}
}

func testExists(names map[string]bool, name string) bool {
	prefix, several := strings.CutSuffix(name, "*")
	if !several {
		return names[name]
	}
	for n := range names {
		if strings.HasPrefix(n, prefix) {
			return true
		}
	}
	return false
}

var (
	citedSection = regexp.MustCompile(`(\S*)DESIGN\.md,? "([^"]+)"`)
	heading      = regexp.MustCompile(`(?m)^#+ (?:[0-9.]+ )?(.*?)\s*$`)
)

// TestCitedSectionsExist checks that where a comment cites the design by the
// title of a section, there is such a section.
func TestCitedSectionsExist(t *testing.T) {
	text := docs(t)[designDoc]
	var titles []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		titles = append(titles, m[1])
	}
	for _, f := range sources(t) {
		for _, group := range f.ast.Comments {
			plain := strings.Join(strings.Fields(group.Text()), " ")
			for _, m := range citedSection.FindAllStringSubmatch(plain, -1) {
				if !strings.HasSuffix(m[1], "schemas/") {
					t.Errorf("%s: cites DESIGN.md %q without its path, %s", f.path, m[2], designDoc)
				}
				if !slices.Contains(titles, m[2]) {
					t.Errorf("%s: cites %s %q, and it has no such section", f.path, designDoc, m[2])
				}
			}
		}
	}
}

// TestDesignListsEveryFile holds "File by file" of the design to the files of
// the product: a newcomer guesses from it where a behaviour is.
func TestDesignListsEveryFile(t *testing.T) {
	listed := map[string]bool{}
	folder := ""
	for line := range strings.Lines(docs(t)[designDoc]) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "### "); ok {
			folder = title
		}
		if m := fileRow.FindStringSubmatch(line); m != nil {
			listed[path.Join(folder, m[1])] = true
		}
	}
	for _, f := range sources(t) {
		if !f.test && !f.generated && region(f.dir) != "scripts" && !listed[f.path] {
			t.Errorf("%s: has no line in %s, \"File by file\"", f.path, designDoc)
		}
	}
}

// fileRow matches a row of "File by file".
var fileRow = regexp.MustCompile("^\\| `([a-z0-9_]+\\.go)` \\| .+ \\|$")
