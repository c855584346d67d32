package repocheck

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// numberedAPI matches names that the four APIs had before they had names.
var numberedAPI = regexp.MustCompile(`(?i)contracts? [1-4]`)

// TestAPIsAreNamed keeps numbers out of code and documents: the APIs are the
// Ingestion API, the User Events API, the Events API and the Reporting API.
func TestAPIsAreNamed(t *testing.T) {
	for _, p := range allFiles(t) {
		text, err := fs.ReadFile(os.DirFS(root), p)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(text) {
			continue // no text
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := numberedAPI.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: call the API by its name", p, i+1, found)
			}
		}
	}
}
