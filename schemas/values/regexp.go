package values

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Regexp compiles a regular expression of a request. Where it cannot, it returns
// what is wrong, for the person who sent it; "" is nothing. The syntax is that of
// RE2, whose time is linear in the text: what other libraries have and RE2 cannot
// have is named.
func Regexp(pattern string) (re *regexp.Regexp, wrong string) {
	re, err := regexp.Compile(pattern)
	if err == nil {
		return re, ""
	}
	fault, ok := errors.AsType[*syntax.Error](err)
	if !ok {
		return nil, "is not a regular expression"
	}
	if fault.Code == syntax.ErrInvalidEscape && len(fault.Expr) > 1 && '1' <= fault.Expr[1] && fault.Expr[1] <= '9' {
		return nil, "is not a regular expression of RE2, which has no back-references `" + fault.Expr + "`"
	}
	for _, lacks := range missingInRE2() {
		if lacks.code == fault.Code && strings.HasPrefix(fault.Expr, lacks.prefix) {
			return nil, "is not a regular expression of RE2, which has no " + lacks.name
		}
	}
	wrong = "is not a regular expression of RE2: " + string(fault.Code)
	if part := strings.ToValidUTF8(fault.Expr, "?"); part != "" {
		wrong += " `" + FirstChars(part, maxShownChars) + "`"
	}
	return nil, wrong
}

// maxShownChars is how much of a bad expression an error shows.
const maxShownChars = 40

// missing is what RE2 lacks, and how package syntax reports it.
type missing struct {
	code   syntax.ErrorCode
	prefix string // of the part that is reported
	name   string
}

// missingInRE2 lists what people miss in RE2, longer prefixes first.
func missingInRE2() []missing {
	return []missing{
		{syntax.ErrInvalidPerlOp, "(?=", "look-ahead `(?=`"},
		{syntax.ErrInvalidPerlOp, "(?!", "negative look-ahead `(?!`"},
		{syntax.ErrInvalidNamedCapture, "(?<=", "look-behind `(?<=`"},
		{syntax.ErrInvalidNamedCapture, "(?<!", "negative look-behind `(?<!`"},
		{syntax.ErrInvalidPerlOp, "(?>", "atomic groups `(?>`"},
		{syntax.ErrInvalidPerlOp, "(?#", "comments `(?#`"},
		{syntax.ErrInvalidPerlOp, "(?x", "extended mode `(?x`"},
		{syntax.ErrInvalidPerlOp, "(?|", "branch resets `(?|`"},
		{syntax.ErrInvalidPerlOp, "(?(", "conditions `(?(`"},
		{syntax.ErrInvalidPerlOp, "(?R", "recursion `(?R`"},
		{syntax.ErrInvalidPerlOp, "(?&", "recursion `(?&`"},
		{syntax.ErrInvalidEscape, `\k`, "back-references `\\k`"},
		{syntax.ErrInvalidEscape, `\K`, "escape `\\K`"},
		{syntax.ErrInvalidEscape, `\Z`, "escape `\\Z`: use `\\z` or `$`"},
		{syntax.ErrInvalidEscape, `\u`, "escape `\\u`: use `\\x{…}`"},
		{syntax.ErrInvalidRepeatOp, "++", "possessive repetition `++`"},
		{syntax.ErrInvalidRepeatOp, "*+", "possessive repetition `*+`"},
		{syntax.ErrInvalidRepeatOp, "?+", "possessive repetition `?+`"},
	}
}
