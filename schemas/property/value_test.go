package property

import "testing"

func TestReadByType(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		raw  string
		want string
		has  bool
	}{
		{Text, "8192.0", "8192.0", true},
		{Text, `" 8192"`, " 8192", true},
		{Text, "true", "true", true},
		{Text, `"<NULL>"`, "", false},
		{Number, "8192.0", "8192", true},
		{Number, `" 8192"`, "8192", true},
		{Number, `"+5"`, "5", true},
		{Number, "-0", "0", true},
		{Number, "1.5e3", "1500", true},
		{Number, `"0x1p4"`, "0x1p4", true},
		{Number, "1e400", "1e400", true},
		{Number, "null", "", false},
		{Boolean, `"True"`, "true", true},
		{Boolean, "0", "false", true},
		{Boolean, `"maybe"`, "maybe", true},
		{Boolean, `""`, "", false},
		{Flag, `"TRUE"`, "true", true},
		{Flag, `"maybe"`, "false", true},
		{Flag, "null", "false", true},
	} {
		if text, has := c.typ.Read(c.raw); text != c.want || has != c.has {
			t.Errorf("%s %s is read as %q, %v, want %q, %v", c.typ, c.raw, text, has, c.want, c.has)
		}
	}
}
