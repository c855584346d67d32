package main

import (
	"strings"
	"testing"
)

func TestListsTheSlowest(t *testing.T) {
	r, err := read(strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}
not an event
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":9}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1.5}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":2.25}
{"Action":"fail","Package":"p","Elapsed":4}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := r.format(1)
	want := `the slowest of 2 tests
    2.25s  p TestB
the slowest of 1 packages
    4.00s  p
FAILED p TestB
FAILED p
`
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}
