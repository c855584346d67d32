package values

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
)

// request has one member of each type.
type request struct {
	Number *Int      `json:"number"`
	List   Strings   `json:"list"`
	Any    OneOrMany `json:"any"`
}

func TestRequestsAreRead(t *testing.T) {
	for body, want := range map[string]request{
		`{"number":30.0,"list":["a",""],"any":"x"}`:  {new(Int(30)), Strings{"a", ""}, OneOrMany{"x"}},
		`{"number":1e0,"list":[],"any":["x","y"]}`:   {new(Int(1)), Strings{}, OneOrMany{"x", "y"}},
		`{"number":null,"list":null,"any":null}`:     {},
		`{"number":-300e-1,"list":["\u0061"],"a":1}`: {Number: new(Int(-30)), List: Strings{"a"}},
	} {
		var got request
		err := json.Unmarshal([]byte(body), &got)
		if err != nil || (got.Number == nil) != (want.Number == nil) || got.Number != nil && *got.Number != *want.Number ||
			!slices.Equal(got.List, want.List) || !slices.Equal(got.Any, want.Any) || (got.List == nil) != (want.List == nil) {
			t.Errorf("%s is read as %+v, %v", body, got, err)
		}
	}
}

func TestRequestsAreRefusedWhereTheyAreWrong(t *testing.T) {
	for body, want := range map[string]string{
		`{"number":30.5}`:      "/number",
		`{"number":"30"}`:      "/number",
		`{"number":1e400}`:     "/number",
		`{"number":[1]}`:       "/number",
		`{"list":[null]}`:      "/list/0",
		`{"list":["a",null]}`:  "/list/1",
		`{"list":["a",["b"]]}`: "/list/1",
		`{"list":["a",1]}`:     "/list/1",
		`{"list":"a"}`:         "/list",
		`{"any":[null]}`:       "/any/0",
		`{"any":1}`:            "/any",
		`{"any":{"a":"b"}}`:    "/any",
	} {
		err := json.Unmarshal([]byte(body), new(request))
		if wrong, ok := errors.AsType[*json.SemanticError](err); !ok || string(wrong.JSONPointer) != want {
			t.Errorf("%s: %v, want an error about %s", body, err, want)
		}
	}
}

// FuzzRequest holds that whatever is read has no null in a list.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{`{"list":["a"],"any":"x","number":30.0}`, `{"list":[null]}`, `{"any":[["a"]]}`, `{"number":1e400}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got request
		if json.Unmarshal(body, &got) != nil {
			return
		}
		var plain struct {
			Number *float64  `json:"number"`
			List   []*string `json:"list"`
			Any    any       `json:"any"`
		}
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if slices.Contains(plain.List, nil) || len(plain.List) != len(got.List) {
			t.Errorf("%s is read as %+v", body, got)
		}
		if list, ok := plain.Any.([]any); ok && slices.Contains(list, nil) {
			t.Errorf("%s is read as %+v", body, got)
		}
	})
}
