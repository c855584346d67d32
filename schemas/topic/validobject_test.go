package topic

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// plainObjects are objects that need no JSON package.
func plainObjects() []string {
	return []string{
		`{}`, ` {}`[1:], `{ "a" : 1 , "b" : [ ] }` + "\n", `{"a":"","b":"ä€😀"}`, `{"a":[1,-0.5e+7,[],{},"x",true,false,null]}`,
		`{"id":"u8404172500676253691","realm":["webmail"],"groups":["all","core"]}`, `{"a":"\"\\\/\b\f\n\r\t"}`,
		`{"name of more than eight characters":"and a value of more than sixteen"}`, `{"a":{"a":{"a":0}},"b":10}`,
	}
}

// otherTexts are not objects, or objects that the JSON package must decide about.
func otherTexts() []string {
	return []string{
		``, `{`, `}`, `[]`, ` {}`, `{}}`, `{}x`, "{}\x00", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1 "b":2}`, `{"a":[1,]}`, `{"a":[1 2]}`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"\n":1}`, `{"b":{"a":1,"a":2}}`, `{"a":tru}`, `{"a":nulL}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":-}`,
		`{"a":1e}`, `{"a":+1}`, `{"a":"` + "\x1f" + `"}`, `{"a":"` + "\n" + `"}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", "{\"\xff\":1}", "{\"a\":\"1234\x80678\"}",
		`{"a":"`, `{"a":"\`, `{"a":"12345678`, `{"a":"1234567\"`, `{"a":[[[[[[[[[]]]]]]]]]}`, "{\"a\":\"1234567\x01 \"}", `{"` + strings.Repeat("a", 100),
		`{"a":1` + strings.Repeat(`,"b":2`, 20) + `}`,
	}
}

func TestIsPlainObject(t *testing.T) {
	for _, text := range plainObjects() {
		if !isPlainObject([]byte(text)) || !jsontext.Value(text).IsValid() {
			t.Errorf("%q is not a plain object, or not valid", text)
		}
	}
	for _, text := range otherTexts() {
		if isPlainObject([]byte(text)) {
			t.Errorf("%q is a plain object", text)
		}
	}
}

// FuzzIsPlainObject looks for a text that isPlainObject accepts and the JSON package
// does not.
func FuzzIsPlainObject(f *testing.F) {
	for _, text := range append(plainObjects(), otherTexts()...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if isPlainObject(text) && (text[0] != '{' || !jsontext.Value(text).IsValid()) {
			t.Fatalf("%q is not a valid object", text)
		}
	})
}

// BenchmarkValidObject compares isPlainObject with the JSON package, on objects as
// events have them.
func BenchmarkValidObject(b *testing.B) {
	texts := [][]byte{
		[]byte(`{"id":"u8404172500676253691","realm":["webmail"],"groups":["all","core"]}`),
		[]byte(`{"prodVersion":"v0.0.0","prodEdition":"webmail","C01":"-0700"}`), []byte(`{"files":8,"merge":false}`),
	}
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			for _, text := range texts {
				isPlainObject(text)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			for _, text := range texts {
				jsontext.Value(text).IsValid()
			}
		}
	})
}
