package openapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// TestIndentJSON checks that a value stays on one line if it fits, and otherwise has
// a line for each member, which is laid out by the same rule.
func TestIndentJSON(t *testing.T) {
	long := strings.Repeat("x", 60)
	for in, want := range map[string]string{
		`{a: 1, b: [x, null, true], "1.0": {}}`: `{"a": 1, "b": ["x", null, true], "1.0": {}}`,
		`[]`:                                    `[]`,
		`"a\nb"`:                                `"a\nb"`,
		`{list: [` + long + `, ` + long + `], more: {n: 1}}`: `{
  "list": [
    "` + long + `",
    "` + long + `"
  ],
  "more": {"n": 1}
}`,
	} {
		var file yaml.Node
		if err := yaml.Unmarshal([]byte(in), &file); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, indentJSON(file.Content[0])); diff != "" {
			t.Errorf("%s: -want +got\n%s", in, diff)
		}
	}
}
