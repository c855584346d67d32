package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// site is one mutant: a place in a file, and the text that replaces it.
type site struct {
	file     string // below the root
	function string
	line     int
	operator string // what is done
	code     string // to what, on one line
	from, to int    // bytes of the file that text replaces
	text     string
}

// name identifies s while lines move: it is how survivors are listed.
func (s site) name() string {
	return fmt.Sprintf("%s:%s:%s `%s`", s.file, s.function, s.operator, s.code)
}

// mutate returns the file with the mutant in it.
func (s site) mutate(source string) string { return source[:s.from] + s.text + source[s.to:] }

// finder collects the sites of one file.
type finder struct {
	file     string
	source   string
	set      *token.FileSet
	function string
	results  *ast.FieldList // of the function
	sites    []site
}

// findSites returns every mutant of a file. Some do not compile: types are not
// looked at.
func findSites(file, source string) ([]site, error) {
	f := &finder{file: file, source: source, set: token.NewFileSet()}
	parsed, err := parser.ParseFile(f.set, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	for _, d := range parsed.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		f.function = fn.Name.Name
		f.inFunction(fn.Type.Results, fn.Body)
	}
	return f.sites, nil
}

// inFunction collects the sites of a body. Literals within it return other results.
func (f *finder) inFunction(results *ast.FieldList, body *ast.BlockStmt) {
	outer := f.results
	f.results = results
	defer func() { f.results = outer }()
	if len(body.List) > 0 {
		f.insert(body.Lbrace, "return early", f.signature(), "\nreturn "+f.zeros()+"\n")
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if literal, ok := n.(*ast.FuncLit); ok {
			f.inFunction(literal.Type.Results, literal.Body)
			return false
		}
		f.statement(n)
		f.expression(n)
		return true
	})
}

// statement adds the mutants of a statement.
func (f *finder) statement(n ast.Node) {
	switch s := n.(type) {
	case *ast.IfStmt:
		f.replace(s.Cond, "negate condition", "!("+f.code(s.Cond)+")")
	case *ast.ReturnStmt:
		if zeros := f.zeros(); len(s.Results) > 0 && zeros != "" {
			f.replace(s, "return zero values", "return "+zeros)
		}
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			f.replace(s, "delete statement", "")
		}
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt:
		f.replace(n, "delete statement", "")
	case *ast.RangeStmt:
		f.skipFirst(s, s.Body)
	case *ast.ForStmt:
		f.skipFirst(s, s.Body)
	}
}

// skipFirst leaves out the first iteration of a loop.
func (f *finder) skipFirst(loop ast.Stmt, body *ast.BlockStmt) {
	head := f.source[f.offset(loop.Pos()):f.offset(body.Lbrace)]
	f.add(loop.Pos(), body.Lbrace+1, "drop first iteration", head,
		"firstDropped := false\n"+head+"{\nif !firstDropped {\nfirstDropped = true\ncontinue\n}\n")
}

// swaps are the operators that take each other's place, by kind of mutant.
var swaps = map[token.Token]struct {
	by   token.Token
	name string
}{
	token.LSS: {token.LEQ, "move boundary"}, token.LEQ: {token.LSS, "move boundary"},
	token.GTR: {token.GEQ, "move boundary"}, token.GEQ: {token.GTR, "move boundary"},
	token.EQL: {token.NEQ, "negate comparison"}, token.NEQ: {token.EQL, "negate comparison"},
	token.ADD: {token.SUB, "swap arithmetic"}, token.SUB: {token.ADD, "swap arithmetic"},
	token.MUL: {token.QUO, "swap arithmetic"}, token.QUO: {token.MUL, "swap arithmetic"},
	token.LAND: {token.LOR, "swap logic"}, token.LOR: {token.LAND, "swap logic"},
}

// expression adds the mutants of an expression.
func (f *finder) expression(n ast.Node) {
	switch e := n.(type) {
	case *ast.BinaryExpr:
		if swap, ok := swaps[e.Op]; ok {
			f.add(e.OpPos, e.OpPos+token.Pos(len(e.Op.String())), swap.name, f.code(e), swap.by.String())
		}
	case *ast.BasicLit:
		if value, err := strconv.ParseInt(e.Value, 0, 64); e.Kind == token.INT && err == nil {
			f.replace(e, "add one to constant", strconv.FormatInt(value+1, 10))
			if value > 0 {
				f.replace(e, "subtract one from constant", strconv.FormatInt(value-1, 10))
			}
		}
	case *ast.CallExpr:
		if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "append" && len(e.Args) > 1 {
			f.replace(e, "drop append", f.code(e.Args[0]))
		}
	}
}

// zeros returns the zero values of the results of the function, whatever their types.
func (f *finder) zeros() string {
	var zeros []string
	if f.results != nil {
		for _, field := range f.results.List {
			for range max(1, len(field.Names)) {
				zeros = append(zeros, "*new("+f.code(field.Type)+")")
			}
		}
	}
	return strings.Join(zeros, ", ")
}

// signature stands for a whole function in the name of a site.
func (f *finder) signature() string { return "func: " + f.zeros() }

func (f *finder) offset(p token.Pos) int { return f.set.Position(p).Offset }

func (f *finder) code(n ast.Node) string { return f.source[f.offset(n.Pos()):f.offset(n.End())] }

func (f *finder) replace(n ast.Node, operator, text string) {
	f.add(n.Pos(), n.End(), operator, f.code(n), text)
}

// insert adds a mutant that puts text behind a brace.
func (f *finder) insert(brace token.Pos, operator, code, text string) {
	f.add(brace+1, brace+1, operator, code, text)
}

// longestCode is how much of a long statement its name has.
const longestCode = 100

func (f *finder) add(from, to token.Pos, operator, code, text string) {
	code = strings.ReplaceAll(strings.Join(strings.Fields(code), " "), "`", "'")
	f.sites = append(f.sites, site{
		file: f.file, function: f.function, line: f.set.Position(from).Line, operator: operator,
		code: code[:min(len(code), longestCode)], from: f.offset(from), to: f.offset(to), text: text,
	})
}
