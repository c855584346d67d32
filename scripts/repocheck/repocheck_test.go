package repocheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	root     = "../.."
	maxLines = 600 // of one Go file that a person writes
)

// topLevel is everything that may lie in the root, besides dotfiles.
var topLevel = []string{
	"LICENSE", "Makefile", "README.md", "deploy", "go.mod", "go.sum", "ingest", "processor", "query", "schemas", "scripts",
}

// file is one parsed Go file of the repository.
type file struct {
	path      string // slash-separated, from the root
	dir       string
	test      bool
	generated bool
	lines     int
	ast       *ast.File
	imports   []string
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || slices.Contains(skippedDirs, e.Name()) || slices.Contains(topLevel, e.Name()) {
			continue
		}
		t.Errorf("%s: not part of the fixed top level %v", e.Name(), topLevel)
	}
}

func TestImportStar(t *testing.T) {
	for _, f := range sources(t) {
		for _, imported := range f.imports {
			inner, ours := strings.CutPrefix(imported, "weir/")
			if !ours {
				continue
			}
			if from, to := region(f.dir), region(inner); !mayImport(from, to) {
				t.Errorf("%s: imports %s: %s may not import %s", f.path, imported, from, to)
			}
		}
	}
}

func region(dir string) string { return strings.SplitN(dir, "/", 2)[0] }

// mayImport is the star: services meet only in schemas, deploy knows all, and
// nothing knows deploy or scripts.
func mayImport(from, to string) bool {
	switch {
	case from == to, from == "scripts":
		return true
	case to == "schemas":
		return true
	case from == "deploy":
		return to != "scripts"
	}
	return false
}

// rooms are packages that serve one neighbour: only packages in or below the
// folder on the right may import them. They are part of how that neighbour
// works, free to change with it, and no contract.
var rooms = map[string]string{
	"processor/dedupe":     "processor",
	"schemas/lake/parquet": "schemas/lake",
}

func TestRoomsStayPrivate(t *testing.T) {
	for _, f := range sources(t) {
		for _, imported := range f.imports {
			inner, ours := strings.CutPrefix(imported, "weir/")
			if !ours {
				continue
			}
			if strings.HasPrefix(inner, "query/") && region(f.dir) != "query" {
				t.Errorf("%s: imports %s: packages below query serve query alone", f.path, imported)
			}
			if only, private := rooms[inner]; private && !within(f.dir, []string{only}) {
				t.Errorf("%s: imports %s, which serves %s alone", f.path, imported, only)
			}
		}
	}
}

// homes says which folders alone may import an outside module: what ties us to
// a vendor lives in one place.
var homes = map[string][]string{
	"github.com/aws/aws-sdk-go-v2":                 {"schemas/objects", "deploy/embedded"}, // embedded: the store's own interface speaks in its types
	"github.com/apache/iceberg-go":                 {"schemas/lake"},
	"github.com/parquet-go/parquet-go":             {"schemas/lake"},
	"github.com/versity/versitygw":                 {"deploy/embedded"},
	"github.com/gofiber/fiber":                     {"deploy/embedded"}, // versitygw is made of it
	"github.com/twmb/franz-go/pkg/kfake":           {"deploy/embedded"},
	"github.com/jackc/pgx":                         {"schemas/registry"},
	"modernc.org/sqlite":                           {"schemas/registry"},
	"github.com/oschwald/maxminddb-golang":         {"ingest"},
	"golang.org/x/crypto":                          {"schemas/registry"},
	"google.golang.org/protobuf":                   {"schemas/eventpb", "schemas/topic"},
	"github.com/santhosh-tekuri/jsonschema":        {"schemas/openapi/openapitest"},
	"gopkg.in/yaml.v3":                             {"deploy/weir", "schemas/openapi"}, // settings; the documents, to make the page
	"github.com/prometheus/client_golang/promhttp": {"deploy/weir"},
}

func TestOutsideModulesStayHome(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || region(f.dir) == "scripts" {
			continue
		}
		for _, imported := range f.imports {
			for module, folders := range homes {
				if (imported == module || strings.HasPrefix(imported, module+"/")) && !within(f.dir, folders) {
					t.Errorf("%s: imports %s, whose home is %v", f.path, imported, folders)
				}
			}
		}
	}
}

func within(dir string, folders []string) bool {
	return slices.ContainsFunc(folders, func(home string) bool {
		return dir == home || strings.HasPrefix(dir, home+"/")
	})
}

func TestOnePackageComment(t *testing.T) {
	comments := map[string][]string{}
	for _, f := range sources(t) {
		if f.test {
			if _, seen := comments[f.dir]; !seen {
				comments[f.dir] = nil
			}
		}
		if f.ast.Doc != nil && !f.generated && !strings.HasSuffix(f.ast.Name.Name, "_test") {
			comments[f.dir] = append(comments[f.dir], f.path)
		} else if _, seen := comments[f.dir]; !seen && !f.generated {
			comments[f.dir] = nil
		}
	}
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s: has %d package comments %v, want 1", dir, len(files), files)
		}
	}
}

func TestFileLength(t *testing.T) {
	for _, f := range sources(t) {
		if !f.generated && f.lines > maxLines {
			t.Errorf("%s: %d lines, at most %d: split it by job", f.path, f.lines, maxLines)
		}
	}
}

const maxMethods = 25 // of one type, over all files of its package

// manyMethods are the types that have more, each with the reason and the number
// past which it may not grow.
var manyMethods = map[string]int{
	"ingest.decoder":            49, // one method per member of an event; they share buffers that are reused
	"query/report.clientStats":  38, // columns of one pass over clients; each row kind adds to several
	"schemas/lake.Lake":         41, // the tables as one thing: write, commit, scan, maintain
	"schemas/registry.Registry": 87, // one method per statement of SQL; callers declare the few they need
}

func TestMethodsOfAType(t *testing.T) {
	methods := map[string]int{}
	for _, f := range sources(t) {
		if f.test || f.generated {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				methods[f.dir+"."+receiver(fn)]++
			}
		}
	}
	for name, n := range methods {
		if most := max(maxMethods, manyMethods[name]); n > most {
			t.Errorf("%s: has %d methods, at most %d: split it by job", name, n, most)
		}
	}
	for name, most := range manyMethods {
		if methods[name] <= maxMethods || methods[name] < most {
			t.Errorf("%s: has %d methods now: lower or remove its entry in manyMethods, %d", name, methods[name], most)
		}
	}
}

// receiver returns the name of the type that fn is a method of.
func receiver(fn *ast.FuncDecl) string {
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// TestDirectModules holds the list of outside modules that the binary imports
// directly, so that a new one is a decision somebody sees.
func TestDirectModules(t *testing.T) {
	modules := requiredModules(t)
	used := map[string]bool{}
	for _, f := range sources(t) {
		if f.test || region(f.dir) == "scripts" || forTests(f.dir) {
			continue
		}
		for _, imported := range f.imports {
			if m := moduleOf(modules, imported); m != "" {
				used[m] = true
			}
		}
	}
	var got []string
	for m := range used {
		got = append(got, m)
	}
	slices.Sort(got)
	want, err := os.ReadFile("modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, "\n") + "\n"; text != string(want) {
		t.Errorf("direct modules are\n%s\nand modules.txt says\n%s\nif the change is meant, change modules.txt with its reason in the commit", text, want)
	}
}

// forTests says of a folder that its package is for tests alone.
func forTests(dir string) bool {
	return slices.Contains([]string{"laketest", "openapitest"}, path.Base(dir))
}

func requiredModules(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && strings.HasPrefix(fields[1], "v") && strings.Contains(fields[0], ".") {
			modules = append(modules, fields[0])
		}
	}
	return modules
}

func moduleOf(modules []string, imported string) string {
	best := ""
	for _, m := range modules {
		if (imported == m || strings.HasPrefix(imported, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// sources returns every Go file of the repository, parsed.
func sources(t *testing.T) []file {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var parsed = sync.OnceValues(func() ([]file, error) {
	paths, err := GoFiles(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	files := make([]file, 0, len(paths))
	for _, p := range paths {
		f, err := parse(p)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
})

func parse(p string) (file, error) {
	text, err := os.ReadFile(filepath.Join(root, p))
	if err != nil {
		return file{}, fmt.Errorf("read %s: %w", p, err)
	}
	tree, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, fmt.Errorf("parse %s: %w", p, err)
	}
	f := file{
		path: p, dir: path.Dir(p), ast: tree,
		test:      strings.HasSuffix(p, "_test.go"),
		generated: ast.IsGenerated(tree),
		lines:     strings.Count(string(text), "\n"),
	}
	for _, spec := range tree.Imports {
		f.imports = append(f.imports, strings.Trim(spec.Path.Value, `"`))
	}
	return f, nil
}
