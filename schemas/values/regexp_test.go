package values

import (
	"regexp"
	"strings"
	"testing"
)

func TestRegexpSaysWhatRE2DoesNotHave(t *testing.T) {
	for pattern, want := range map[string]string{
		`a(?=b)`:      "is not a regular expression of RE2, which has no look-ahead `(?=`",
		`(?!a)b`:      "is not a regular expression of RE2, which has no negative look-ahead `(?!`",
		`(?<=a)b`:     "is not a regular expression of RE2, which has no look-behind `(?<=`",
		`(?<!a)b`:     "is not a regular expression of RE2, which has no negative look-behind `(?<!`",
		`(?>a+)b`:     "is not a regular expression of RE2, which has no atomic groups `(?>`",
		`(a)\1`:       "is not a regular expression of RE2, which has no back-references `\\1`",
		`a++`:         "is not a regular expression of RE2, which has no possessive repetition `++`",
		`a\Z`:         "is not a regular expression of RE2, which has no escape `\\Z`: use `\\z` or `$`",
		`[a`:          "is not a regular expression of RE2: missing closing ] `[a`",
		`a{1001}`:     "is not a regular expression of RE2: invalid repeat count `{1001}`",
		`\`:           "is not a regular expression of RE2: trailing backslash at end of expression",
		`(?i)a|^b\d$`: "",
		``:            "",
	} {
		if _, got := Regexp(pattern); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

func FuzzRegexp(f *testing.F) {
	for _, pattern := range []string{`a(?=b)`, `(?<!a`, `(a)\9`, `[[:x:]]`, "\xff", `(?P<n>a)`, `a{2}+`} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		re, wrong := Regexp(pattern)
		_, err := regexp.Compile(pattern)
		if (re == nil) != (err != nil) || (wrong == "") != (err == nil) {
			t.Errorf("%q: %v, %q, package regexp says %v", pattern, re, wrong, err)
		}
		if strings.ToValidUTF8(wrong, "") != wrong || LongerThan(wrong, 120) {
			t.Errorf("%q: %q is no text to show", pattern, wrong)
		}
	})
}
