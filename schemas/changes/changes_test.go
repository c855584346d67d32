package changes

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
)

// changeOf returns a change of client 7 from "op values".
func changeOf(text string) *schemas.Change {
	op, values, _ := strings.Cut(text, " ")
	c := &schemas.Change{Product: 1, Client: 7, Kind: schemas.PropertyChange, Operation: op, Values: []byte(values)}
	if op == "contact" {
		c.Kind, c.Operation = schemas.ContactChange, schemas.OpSet
	}
	return c
}

// describe returns the values of a client as text, by name.
func describe(c Client) map[string]string {
	out := map[string]string{}
	for name, v := range c.Properties {
		out["user."+name] = string(v.JSON)
	}
	for name, v := range c.Contacts {
		out["contact."+name] = string(v.JSON)
	}
	return out
}

func TestOperations(t *testing.T) {
	check := func(name string, want map[string]string, changes ...string) {
		t.Helper()
		var s Set
		for i, text := range changes {
			s.Add(changeOf(text), int64(10+i))
		}
		if diff := cmp.Diff(want, describe(s.Client(7))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	user := func(v string) map[string]string { return map[string]string{"user.a": v} }
	none := map[string]string{}

	check("no change", none)
	check("set", map[string]string{"user.a": `"x"`, "user.b": "true", "user.c": `["p","q"]`}, `set {"a":"x","b":true,"c":[ "p", "q" ]}`)
	check("set overwrites, with another type too", user("2"), `set {"a":["x"]}`, `set {"a":2}`)
	check("set leaves others", map[string]string{"user.a": "1", "user.b": "2"}, `set {"a":1}`, `set {"b":2}`)
	check("set of an empty text is a text", user(`""`), `set {"a":""}`)
	check("a number stays as it was written", user("1.50"), `set {"a":1.50}`)

	check("increase of a missing one", user("3"), `increase {"a":3}`)
	check("increase is exact", user("0.3"), `set {"a":0.1}`, `increase {"a":0.2}`)
	check("increase below zero", user("-1.5"), `set {"a":1}`, `increase {"a":-2.5}`)
	check("increase to zero", user("0"), `set {"a":1.0}`, `increase {"a":-1}`)
	check("increase with exponents", user("1234.5"), `set {"a":1.2345e3}`, `increase {"a":0e9}`)
	check("increase beyond a double", user("9007199254740993"), `set {"a":9007199254740992}`, `increase {"a":1}`)
	check("increase of a text", user(`"5"`), `set {"a":"5"}`, `increase {"a":1}`)
	check("increase of a list", user(`["x"]`), `set {"a":["x"]}`, `increase {"a":1}`)
	check("increase by a text", user("5"), `set {"a":5}`, `increase {"a":"1"}`)
	check("increase of a missing one by a text", none, `increase {"a":"1"}`)
	check("increase by what is too large", user("5"), `set {"a":5}`, `increase {"a":1e999999999}`)
	check("increase of what is too large", user("1e999999999"), `set {"a":1e999999999}`, `increase {"a":1}`)

	check("add to a missing one", user(`["x","y"]`), `add {"a":["x","y","x"]}`)
	check("add keeps order, without doubles", user(`["x","y","z"]`), `set {"a":["x","y"]}`, `add {"a":["y","z","x"]}`)
	check("add of a single text", user(`["x","y"]`), `set {"a":["x"]}`, `add {"a":"y"}`)
	check("add to a text", user(`"x"`), `set {"a":"x"}`, `add {"a":["y"]}`)
	check("add of numbers", user(`["x"]`), `set {"a":["x"]}`, `add {"a":[1]}`)
	check("remove", user(`["y"]`), `set {"a":["x","y","x"]}`, `remove {"a":["x","none"]}`)
	check("remove of a single text", user(`[]`), `set {"a":["x"]}`, `remove {"a":"x"}`)
	check("remove from a missing one", none, `remove {"a":["x"]}`)
	check("remove from a number", user("1"), `set {"a":1}`, `remove {"a":["1"]}`)
	check("escapes", user(`["\"","ü","<"]`), `add {"a":["\"","\u00fc","<"]}`)

	check("delete", map[string]string{"user.b": "2"}, `set {"a":1,"b":2}`, `delete {"a":""}`)
	check("delete of a missing one", none, `delete {"a":null}`)
	check("increase after delete", user("1"), `set {"a":5}`, `delete {"a":0}`, `increase {"a":1}`)
	check("null", none, `set {"a":1}`, `set {"a":null}`)

	check("contact", map[string]string{"contact.email": `"ann@example.org"`, "contact.mobile_phone": `"1"`},
		`contact {"email":"bob@example.org"}`, `contact {"mobile_phone":"1"}`, `contact {"email":"ann@example.org"}`)
	check("contact cleared, others left", map[string]string{"contact.mobile_phone": `"1"`}, `contact {"email":"e","mobile_phone":"1"}`, `contact {"email":""}`)
	check("contacts and properties of one name", map[string]string{"user.email": `"a"`, "contact.email": `"b"`}, `set {"email":"a"}`, `contact {"email":"b"}`)
	check("malformed changes", user("1"), `set {"a":1}`, `multiply {"a":2}`, `set [1]`, `set`)
}

// TestClientsAreSeparate also checks that a client without properties is yielded.
func TestClientsAreSeparate(t *testing.T) {
	var s Set
	for range s.Clients() {
		t.Error("an empty set has a client")
	}
	other := changeOf(`set {"a":2}`)
	other.Client = 9
	gone := changeOf(`delete {"a":2}`)
	gone.Client = 8
	s.Add(changeOf(`set {"a":1}`), 5)
	s.Add(other, 1)
	s.Add(gone, 2)
	got := map[int64]map[string]string{}
	for id, c := range s.Clients() {
		got[id] = describe(c)
	}
	if diff := cmp.Diff(map[int64]map[string]string{7: {"user.a": "1"}, 8: {}, 9: {"user.a": "2"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestKeepDropsOtherNames checks that names outside Keep take no memory.
func TestKeepDropsOtherNames(t *testing.T) {
	s := Set{Keep: func(kind schemas.ChangeKind, name string) bool { return kind == schemas.PropertyChange && name == "a" }}
	s.Add(changeOf(`set {"a":1}`), 1)
	before := s.Bytes()
	s.Add(changeOf(`set {"b":2}`), 2)
	s.Add(changeOf(`contact {"a":"x"}`), 3)
	if diff := cmp.Diff(map[string]string{"user.a": "1"}, describe(s.Client(7))); diff != "" || s.Bytes() != before || s.Len() != 1 {
		t.Errorf("%d clients, %d bytes before, %d after (-want +got):\n%s", s.Len(), before, s.Bytes(), diff)
	}
}

// inOrder applies changes one after the other, without the shortcuts by which Set
// saves memory.
func inOrder(changes []*schemas.Change) map[string]string {
	state := map[string]Value{}
	for _, c := range changes {
		var s Set
		for name, v := range state {
			s.Add(changeOf(fmt.Sprintf(`set {%q:%s}`, name, v.JSON)), 1)
		}
		s.Add(c, 2)
		state = s.Client(7).Properties
	}
	return describe(Client{Properties: state})
}

// TestAddInAnyOrder adds changes in any order and more than once.
func TestAddInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	values := []string{`1`, `-0.5`, `"x"`, `["x"]`, `["y","x"]`, `true`, `12e1`}
	for range 3000 {
		var log []*schemas.Change
		for range 1 + r.IntN(9) {
			var members []string
			for _, name := range []string{"a", "b"} {
				if r.IntN(3) > 0 {
					members = append(members, fmt.Sprintf("%q:%s", name, values[r.IntN(len(values))]))
				}
			}
			op := schemas.PropertyChange.Operations()[r.IntN(5)]
			log = append(log, changeOf(op+" {"+strings.Join(members, ",")+"}"))
		}
		var s Set
		for _, i := range append(r.Perm(len(log)), r.Perm(len(log))...) {
			s.Add(log[i], int64(i))
		}
		if diff := cmp.Diff(inOrder(log), describe(s.Client(7))); diff != "" {
			for i, c := range log {
				t.Logf("%d %s %s", i, c.Operation, c.Values)
			}
			t.Fatalf("(-in order +any order):\n%s", diff)
		}
	}
}

// TestOverwrittenStepsAreDropped checks that overwritten steps take no memory.
func TestOverwrittenStepsAreDropped(t *testing.T) {
	var s Set
	for _, offset := range rand.New(rand.NewPCG(1, 1)).Perm(1000) {
		c := changeOf(fmt.Sprintf(`set {"a":%d}`, offset))
		c.Time = int64(1000 + offset)
		s.Add(c, int64(offset))
	}
	if h := s.clients[7][propertyKey{schemas.PropertyChange, "a"}]; len(h.steps) != 1 {
		t.Errorf("%d steps are kept, want 1", len(h.steps))
	}
	var once Set
	once.Add(changeOf(`set {"a":999}`), 999)
	if s.Bytes() != once.Bytes() || once.Bytes() == 0 {
		t.Errorf("%d bytes, want the %d of what is left", s.Bytes(), once.Bytes())
	}
	if got := s.Client(7).Properties["a"]; string(got.JSON) != "999" || got.Offset != 999 || got.Time != 1999 {
		t.Errorf("a = %+v, want 999 of offset 999 and time 1999", got)
	}
}

func FuzzIncrease(f *testing.F) {
	f.Add("0.1", "0.2")
	f.Add("-1e-99", "1E+99")
	f.Add("123456789012345678901234567890.5", "-0")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := jsontext.Value(a), jsontext.Value(b)
		if !x.IsValid() || !y.IsValid() {
			return
		}
		sum := addNumbers(x, y)
		if (sum != nil) != (Addable(x) && Addable(y)) {
			t.Fatalf("%s + %s = %s, addable %v and %v", a, b, sum, Addable(x), Addable(y))
		}
		if sum == nil {
			return
		}
		if !sum.IsValid() || sum.Kind() != '0' || len(sum) > 2*maxDigits+4 || string(sum) != string(addNumbers(y, x)) {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		if back, zero := addNumbers(sum, addNumbers(jsontext.Value("0"), y)), addNumbers(x, jsontext.Value("0")); Addable(sum) && back == nil || zero == nil {
			t.Fatalf("%s + %s = %s, and again %s", a, b, sum, back)
		}
	})
}
