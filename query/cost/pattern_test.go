package cost

import (
	"context"
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"time"
)

// instructions compiles an expression, which programSize must not.
func instructions(t testing.TB, text string) (estimated, compiled int64) {
	t.Helper()
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		t.Skip()
	}
	estimated = programSize(parsed)
	if estimated > 200_000 {
		t.Skip("too large to compile here")
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	return estimated, int64(len(prog.Inst)) - 2 // fail and match
}

func TestProgramSizeIsThatOfTheCompiledProgram(t *testing.T) {
	for _, text := range []string{
		``, `a`, `abc`, `^abc$`, `(a)(?:b)`, `a*`, `(?:a*)*`, `(?:a?)*`, `a+`, `a?`, `a|b|cd`, `(a|b)*c`, `[a-z]+`, `\pL{3}`, `(?i)abc`, `.*`,
		`a{3}`, `a{3,}`, `a{0,}`, `a{1,}`, `a{2,5}`, `a{0}`, `a{0,1}`, `(?:a{10}){10}`, `(?:x?){30}`, `(?:(?:x?){10}y?){10}`, `(?:){5}`, `(?:a|b){2,3}c`, `\bfoo\B`,
	} {
		if estimated, compiled := instructions(t, text); estimated < compiled || estimated > 3*compiled+3 {
			t.Errorf("%s: %d instructions, compiled %d", text, estimated, compiled)
		}
	}
}

func FuzzProgramSize(f *testing.F) {
	for _, text := range []string{`(?:x?){1000}`, `(a|b{2,}){3}`, `(?i)[^a-f]\pL*?$`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 {
			t.Skip()
		}
		if estimated, compiled := instructions(t, text); estimated < compiled {
			t.Errorf("%q: %d instructions, compiled %d", text, estimated, compiled)
		}
	})
}

// TestRefusedPatternIsNotCompiled holds that the size is known without writing
// the repetitions out: a program of these would not fit the memory.
func TestRefusedPatternIsNotCompiled(t *testing.T) {
	for _, text := range []string{`(?:x?){1000}`, strings.Repeat(`(?:x?){1000}`, 150), `(?:(?:(?:x?){10}){10}){10}`, strings.Repeat(`\pL{1000}`, 200)} {
		var refusal *Refusal
		allocated := testing.AllocsPerRun(1, func() {
			_, err := Limits{}.Question().Compile("f.value", text)
			refusal, _ = errors.AsType[*Refusal](err)
		})
		if refusal == nil || refusal.Limit != PatternSize || refusal.Field != "f.value" || refusal.Cost <= refusal.Max {
			t.Errorf("%.20s: %v", text, refusal)
		}
		if allocated > 50*float64(len(text)) {
			t.Errorf("%.20s: %v allocations", text, allocated)
		}
	}
}

func TestPatternLimits(t *testing.T) {
	q := Limits{PatternBytes: 10, PatternSize: 20}.Question()
	for _, c := range []struct {
		text, refused string
	}{
		{`^4\.[0-9]+`, ""},
		{`12345678901`, "f: is a regular expression of 11 bytes, and may have 10 (query.max_pattern_bytes)"},
		{`a{21}`, "f: is a regular expression that comes to 22 instructions when its repetitions are written out, and may come to 20 (query.max_pattern_size)"},
		{`(`, "f: is not a regular expression of RE2: missing closing )"},
	} {
		_, err := q.Compile("f", c.text)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.HasPrefix(err.Error(), c.refused)) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	for range 20 {
		if _, err := q.Compile("f", `a{18}`); err != nil {
			return
		}
	}
	t.Error("any number of expressions is taken")
}

// TestMatchingTakesBoundedTime holds that a question that is over its time ends,
// and matches no further text.
func TestMatchingTakesBoundedTime(t *testing.T) {
	q := Limits{MatchTime: time.Nanosecond}.Question()
	p, err := q.Compile("f", `(?:x?y?){190}z`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := q.Begin(t.Context())
	defer end()
	text, matches := strings.Repeat("xy", 4000), 0
	for ctx.Err() == nil {
		p.MatchString(text)
		if matches++; matches > 10_000 {
			t.Fatal("matching goes on")
		}
	}
	if refusal, ok := errors.AsType[*Refusal](Cause(ctx, nil)); !ok || refusal.Limit != MatchTime || refusal.Field != "f" {
		t.Error(context.Cause(ctx))
	}
	if p.MatchString(strings.Repeat("xy", 4000) + "z") {
		t.Error("a question that has ended matches")
	}
}

// TestInterruptibleMatchesAsAnyOther compares the way of long texts with that of
// short ones.
func TestInterruptibleMatchesAsAnyOther(t *testing.T) {
	q := Limits{}.Question()
	long := strings.Repeat("ab\xffé", 2000)
	for _, text := range []string{`b.é`, `^a.*é$`, `z`, `(?:a?b?){100}é$`, `\bab`, `^$`} {
		p, err := q.Compile("f", text)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := regexp.MustCompile(text).MatchString(long), p.regexp.MatchReader(&interruptible{of: q, text: long}); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func BenchmarkRefusal(b *testing.B) {
	for b.Loop() {
		if _, err := (Limits{}).Question().Compile("f", `(?:x?){1000}`); err == nil {
			b.Fatal("not refused")
		}
	}
}
