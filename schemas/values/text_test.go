package values

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	check := func(raw, want string, has bool) {
		t.Helper()
		if text, ok := Text(raw); text != want || ok != has {
			t.Errorf("%s = %q, %v, want %q, %v", raw, text, ok, want, has)
		}
	}
	check(`"3.0"`, "3.0", true)
	check(`"\u00e4 \"x\""`, `ä "x"`, true)
	check("8192", "8192", true)
	check("8192.0", "8192.0", true)
	check("true", "true", true)
	check("null", "", false)
	check(`""`, "", false)
	check(`" "`, " ", true)
	check(`"<NULL>"`, "", false)
	check(`"null"`, "null", true)
	check(`"\x"`, "", false)
	check(`["a","b"]`, `["a","b"]`, true)
	check(`[ "\u0061", "b\/" ]`, `["a","b/"]`, true)
	check(`[ "a b" , "\"" ]`, `["a b","\""]`, true)
	check(`[]`, `[]`, true)
	check(`["\x"]`, "", false)
}

func FuzzText(f *testing.F) {
	for _, raw := range []string{`"a"`, `"\u0061"`, `[ "\u0061" ]`, `["a"`, "null", "1.0", `"<NULL>"`, `["\ud800"]`} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		text, has := Text(raw)
		if !has && text != "" || has && (text == "" || text == NullText) {
			t.Errorf("%q is read as %q, %v", raw, text, has)
		}
		if again, ok := Text(text); strings.HasPrefix(raw, "[") && has && (!ok || again != text) {
			t.Errorf("%q is read as %q, and that as %q", raw, text, again)
		}
	})
}

func TestLengthsAreInCharacters(t *testing.T) {
	if LongerThan("äöü", 3) || !LongerThan("äöü", 2) || LongerThan("", 0) {
		t.Error("äöü has not 3 characters")
	}
	if got := FirstChars("äöü", 2); got != "äö" || FirstChars("a", 2) != "a" || FirstChars("a", 0) != "" || !utf8.ValidString(got) {
		t.Errorf("the first 2 characters are %q", got)
	}
}
