package main

import (
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const source = `package p

func f(n int, list []int) (sum int, err error) {
	for _, v := range list {
		if v < n && v != 3 {
			sum += v
		}
	}
	list = append(list, n-1)
	g(func() bool { return n > 2 })
	return sum, nil
}
`

// TestSites: every place of a function, and what is done to it.
func TestSites(t *testing.T) {
	sites, err := findSites("p/p.go", source)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sites {
		got = append(got, s.name())
		if _, err := parser.ParseFile(token.NewFileSet(), "", s.mutate(source), 0); err != nil {
			t.Errorf("%s: %v", s.name(), err)
		}
	}
	slices.Sort(got)
	want := []string{
		"p/p.go:f:add one to constant `1`",
		"p/p.go:f:add one to constant `2`",
		"p/p.go:f:add one to constant `3`",
		"p/p.go:f:delete statement `g(func() bool { return n > 2 })`",
		"p/p.go:f:delete statement `list = append(list, n-1)`",
		"p/p.go:f:delete statement `sum += v`",
		"p/p.go:f:drop append `append(list, n-1)`",
		"p/p.go:f:drop first iteration `for _, v := range list`",
		"p/p.go:f:move boundary `n > 2`",
		"p/p.go:f:move boundary `v < n`",
		"p/p.go:f:negate comparison `v != 3`",
		"p/p.go:f:negate condition `v < n && v != 3`",
		"p/p.go:f:return early `func: *new(bool)`",
		"p/p.go:f:return early `func: *new(int), *new(error)`",
		"p/p.go:f:return zero values `return n > 2`",
		"p/p.go:f:return zero values `return sum, nil`",
		"p/p.go:f:subtract one from constant `1`",
		"p/p.go:f:subtract one from constant `2`",
		"p/p.go:f:subtract one from constant `3`",
		"p/p.go:f:swap arithmetic `n-1`",
		"p/p.go:f:swap logic `v < n && v != 3`",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sites (-want +got):\n%s", diff)
	}
}

func TestMutate(t *testing.T) {
	sites, err := findSites("p/p.go", source)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"move boundary `v < n`":                              "if v <= n && v != 3 {",
		"negate condition `v < n && v != 3`":                 "if !(v < n && v != 3) {",
		"drop append `append(list, n-1)`":                    "\tlist = list\n",
		"return early `func: *new(int), *new(error)`":        "{\nreturn *new(int), *new(error)\n\n\tfor",
		"drop first iteration `for _, v := range list`":      "firstDropped := false\nfor _, v := range list {\nif !firstDropped {\nfirstDropped = true\ncontinue\n}\n",
		"return zero values `return n > 2`":                  "func() bool { return *new(bool) }",
		"subtract one from constant `3`":                     "v != 2 {",
		"delete statement `sum += v`":                        "v != 3 {\n\t\t\t\n\t\t}",
		"delete statement `g(func() bool { return n > 2 })`": "n-1)\n\t\n\treturn",
	} {
		i := slices.IndexFunc(sites, func(s site) bool { return s.name() == "p/p.go:f:"+name })
		if i < 0 {
			t.Fatalf("no site %s", name)
		}
		if got := sites[i].mutate(source); !strings.Contains(got, want) {
			t.Errorf("%s: want %q in\n%s", name, want, got)
		}
	}
}

// TestSeedChoosesMutants: a run can be repeated.
func TestSeedChoosesMutants(t *testing.T) {
	root := os.DirFS("../..")
	first := func(seed uint64) string {
		sites, err := sitesOf(root, targets()[0], seed)
		if err != nil || len(sites) < 100 {
			t.Fatalf("%d sites, %v", len(sites), err)
		}
		return sites[0].name() + sites[1].name() + sites[2].name()
	}
	one, again, other := first(1), first(1), first(2)
	if one != again || one == other {
		t.Error("the same seed must choose the same mutants, another one others")
	}
}

func TestSurvivorsHaveReasons(t *testing.T) {
	if _, err := readSurvivors(os.DirFS("../..")); err != nil {
		t.Error(err)
	}
}
