package property

import "testing"

func TestTextOf(t *testing.T) {
	check := func(raw, want string, has bool) {
		t.Helper()
		if text, ok := TextOf(raw); text != want || ok != has {
			t.Errorf("%s = %q, %v, want %q, %v", raw, text, ok, want, has)
		}
	}
	check(`"3.0"`, "3.0", true)
	check(`"\u00e4 \"x\""`, `ä "x"`, true)
	check("8192", "8192", true)
	check("true", "true", true)
	check("null", "", false)
	check(`""`, "", false)
	check(`"<NULL>"`, "", false)
	check(`"null"`, "null", true)
	check(`"\x"`, "", false)
}

func TestIsTrue(t *testing.T) {
	for text, want := range map[string]bool{
		"true": true, "True": true, "1": true, "Y": true, "y": true, "yes": true, "YES": true,
		"": false, "false": false, "0": false, "N": false, "no": false, "2": false, "on": false,
	} {
		if IsTrue(text) != want {
			t.Errorf("IsTrue(%q) = %v, want %v", text, !want, want)
		}
	}
}
