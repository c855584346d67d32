package schemas

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestErrorTextsAreShortened keeps what fits, and of longer texts start and end, whole
// characters each.
func TestErrorTextsAreShortened(t *testing.T) {
	fits := strings.Repeat("ü", maxErrorText)
	for text, want := range map[string]string{
		"":         "",
		fits:       fits,
		"a" + fits: "a" + strings.Repeat("ü", errorTextHead-1) + "…" + strings.Repeat("ü", errorTextTail),
		`groupBy: "` + strings.Repeat("x", 500<<10) + `" is no property`: `groupBy: "` + strings.Repeat("x", errorTextHead-10) + "…" +
			strings.Repeat("x", errorTextTail-16) + `" is no property`,
		strings.Repeat("\xff", 1000): strings.Repeat("\xff", errorTextHead) + "…" + strings.Repeat("\xff", errorTextTail),
	} {
		got := shortenErrorText(text)
		if got != want || utf8.RuneCountInString(got) > maxErrorText {
			t.Errorf("%.20q… of %d bytes became %q, want %q", text, len(text), got, want)
		}
	}
	e := &RequestError{Status: 400, Code: "bad", Detail: "a" + fits, Items: []ItemError{{Index: 7, Field: "b" + fits, Reason: "c" + fits}}}
	short := e.Shortened()
	if got := []string{short.Detail, short.Items[0].Field, short.Items[0].Reason}; len(got[0])+len(got[1])+len(got[2]) > 3*(2*maxErrorText) || short.Items[0].Index != 7 {
		t.Errorf("shortened to %q", got)
	}
	if e.Items[0].Field != "b"+fits {
		t.Error("shortening has changed the error itself")
	}
}
