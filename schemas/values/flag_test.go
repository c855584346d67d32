package values

import "testing"

func TestFlag(t *testing.T) {
	for text, want := range map[string][2]bool{
		"true": {true, true}, "True": {true, true}, "TRUE": {true, true}, " true\n": {true, true}, "1": {true, true}, "Y": {true, true}, "y": {true, true}, "yes": {true, true}, "YES": {true, true},
		"false": {false, true}, "False": {false, true}, "0": {false, true}, "N": {false, true}, "no": {false, true}, "\tNO": {false, true},
		"": {}, "2": {}, "on": {}, "t": {}, "maybe": {}, "null": {}, "1.0": {},
	} {
		if set, known := Flag(text); set != want[0] || known != want[1] || IsTrue(text) != want[0] {
			t.Errorf("%q is read as %v, %v, want %v", text, set, known, want)
		}
	}
}
