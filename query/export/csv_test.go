package export

import (
	"encoding/csv"
	"strings"
	"testing"
)

func TestCloseField(t *testing.T) {
	check := func(in, want string) {
		t.Helper()
		dst := []byte("before,")
		got := string(closeField(append(dst, in...), len(dst)))
		if got != "before,"+want {
			t.Errorf("field %q = %q, want %q", in, got, "before,"+want)
		}
	}
	check("", "")
	check("plain", "plain")
	check(" spaces stay ", " spaces stay ")
	check("=1+1", "=1+1")
	check("größe €", "größe €")
	check("a,b", `"a,b"`)
	check(`"`, `""""`)
	check(`""`, `""""""`)
	check(`say "hi"`, `"say ""hi"""`)
	check("two\nlines", "\"two\nlines\"")
	check("\r", "\"\r\"")
	check(`{"a":"b","c":1}`, `"{""a"":""b"",""c"":1}"`)
}

// FuzzCSV holds what the writer writes against what another reader reads.
func FuzzCSV(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add("", "", "")
	f.Add(`"`, "\r\n", ",")
	f.Add("a\"b\"\"c", "x\ry", "é\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		fields := []string{"first", a, b, c}
		var line []byte
		for n, field := range fields {
			if n > 0 {
				line = append(line, ',')
			}
			start := len(line)
			line = closeField(append(line, field...), start)
		}
		line = append(line, csvEnd...)

		r := csv.NewReader(strings.NewReader(string(line) + string(line)))
		rows, err := r.ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("read %q: %d rows, %v; want 2", line, len(rows), err)
		}
		for _, row := range rows {
			for n := range fields {
				// encoding/csv itself takes the \r of a line end away, in quotes too.
				if want := strings.ReplaceAll(fields[n], "\r\n", "\n"); row[n] != want {
					t.Errorf("field %d = %q, want %q", n, row[n], want)
				}
			}
		}
	})
}
