package openapitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// longText is what WithLongTexts puts into a request: 3,000 characters, some of them
// longer when they are quoted.
var longText = strings.Repeat(`long "ü" `, 330) + "long"

// maxErrorText is how many characters a text of an error may have.
const maxErrorText = 400

// WithLongTexts returns variants of a request, which is METHOD PATH, lines of headers,
// an empty line and a body. In each of them a long text stands for one thing: a value or
// the name of a member of a JSON body, a part of the path, a value of the query or of
// Content-Type. The key of a variant says what; those that an earlier call has
// put into seen are left out.
func WithLongTexts(request string, seen map[string]bool) map[string]string {
	variants := map[string]string{}
	head, body, _ := strings.Cut(request, "\n\n")
	first, headers, _ := strings.Cut(head, "\n")
	method, target, _ := strings.Cut(first, " ")
	target, version, _ := strings.Cut(target, " ")
	path, query, _ := strings.Cut(target, "?")
	add := func(what, target, headers, body string) {
		if what = method + " " + path + ": " + what; !seen[what] {
			seen[what] = true
			variants[what] = strings.TrimSuffix(method+" "+target+" "+version, " ") + "\n" + headers + "\n\n" + body
		}
	}
	parts := strings.Split(path, "/")
	from := len(parts) - 1
	if parts[1] == "v3" {
		from = 2 // paths of other APIs begin with more
	}
	for i := from; i < len(parts); i++ {
		longer := slices.Clone(parts)
		longer[i] += "-" + url.PathEscape(longText)
		add(fmt.Sprintf("part %d of the path", i), strings.Join(longer, "/"), headers, body)
	}
	values, _ := url.ParseQuery(query) // what is no query has no values
	for name := range values {
		longer, _ := url.ParseQuery(query)
		longer.Set(name, longText)
		add("query "+name, path+"?"+longer.Encode(), headers, body)
	}
	if at := strings.Index(headers, "Content-Type: "); at >= 0 {
		at += len("Content-Type: ")
		add("content type", target, headers[:at]+"application/"+strings.Repeat("x", 3000)+"; charset="+strings.Repeat("y", 3000)+headers[at+strings.IndexByte(headers[at:]+"\n", '\n'):], body)
	}
	var content any
	if json.Unmarshal([]byte(body), &content) == nil {
		eachLonger(content, "body", func(what string) {
			text, _ := json.Marshal(content) //nolint:errchkjson // it was unmarshalled
			add(what, target, headers, string(text))
		})
	}
	return variants
}

// eachLonger calls do while each member and value of content in turn is a long text.
func eachLonger(content any, at string, do func(what string)) {
	switch c := content.(type) {
	case map[string]any:
		for name, value := range c {
			delete(c, name)
			c[longText] = value
			do("name of " + at + "." + name)
			delete(c, longText)
			c[name] = longText
			do(at + "." + name)
			c[name] = value
			eachLonger(value, at+"."+name, do)
		}
	case []any:
		for i, value := range c {
			c[i] = longText
			do(at + "[]")
			c[i] = value
			eachLonger(value, at+"[]", do)
		}
	}
}

// CheckErrorTexts fails t if an answer is an error with a text that is too long for a
// person, or has a long header. It reports whether it is an error.
func CheckErrorTexts(t testing.TB, what string, status int, header http.Header, body []byte) bool {
	t.Helper()
	if status < http.StatusBadRequest {
		return false
	}
	check := func(where, text string) {
		t.Helper()
		if n := utf8.RuneCountInString(text); n > maxErrorText {
			t.Errorf("%s: answered %d, %s has %d characters, want %d or fewer: %.100s…", what, status, where, n, maxErrorText, text)
		}
		if !utf8.ValidString(text) || strings.Contains(text, "\ufffd") {
			t.Errorf("%s: answered %d, %s is cut within a character: %q", what, status, where, text)
		}
	}
	for name, values := range header {
		check(name, strings.Join(values, ", "))
	}
	var content any
	if json.Unmarshal(body, &content) != nil {
		check("the body", string(body))
		return true
	}
	eachText(content, func(text string) { check("a text", text) })
	return true
}

func eachText(content any, do func(string)) {
	switch c := content.(type) {
	case string:
		do(c)
	case map[string]any:
		for name, value := range c {
			do(name)
			eachText(value, do)
		}
	case []any:
		for _, value := range c {
			eachText(value, do)
		}
	}
}
