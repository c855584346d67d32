package cost

import (
	"io"
	"regexp"
	"regexp/syntax"
	"time"
	"unicode/utf8"

	"weir/schemas/values"
)

// PatternError is a text that is no regular expression. The client reads it.
type PatternError struct {
	Field  string // dotted
	Reason string
}

func (e *PatternError) Error() string { return e.Field + ": " + e.Reason }

// Pattern is a regular expression of a question. It may match anywhere in a
// text, unless it says otherwise itself.
type Pattern struct {
	regexp *regexp.Regexp
	field  string
	size   int64
	of     *Question
}

// Compile compiles a regular expression, unless it is too long or would become
// too large. The error is a PatternError or a Refusal.
func (q *Question) Compile(field, text string) (*Pattern, error) {
	if n := int64(len(text)); n > q.limits.PatternBytes {
		return nil, q.refuse(field, PatternBytes, n, q.limits.PatternBytes)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		_, wrong := values.Regexp(text)
		return nil, &PatternError{field, wrong}
	}
	size := programSize(parsed)
	if size > q.limits.PatternSize {
		return nil, q.refuse(field, PatternSize, size, q.limits.PatternSize)
	}
	const patterns = 10 // of the largest size
	if q.program += size; q.program > patterns*q.limits.PatternSize {
		return nil, q.refuse(field, PatternSize, q.program, patterns*q.limits.PatternSize)
	}
	compiled, wrong := values.Regexp(text)
	if wrong != "" {
		return nil, &PatternError{field, wrong}
	}
	return &Pattern{regexp: compiled, field: field, size: size, of: q}, nil
}

// rangesPerInstruction is how many ranges of a class of characters count as an
// instruction more.
const rangesPerInstruction = 256

// programSize returns about how many instructions a parsed expression compiles
// to, and never fewer. regexp/syntax writes x{2,5} out as xx(?:x(?:x(?:x)?)?)?;
// this only counts, so that it takes as long as the text is.
func programSize(re *syntax.Regexp) int64 {
	size := int64(1)
	switch re.Op {
	case syntax.OpLiteral:
		return max(1, int64(len(re.Rune)))
	case syntax.OpCharClass:
		return 1 + int64(len(re.Rune)/2/rangesPerInstruction)
	case syntax.OpCapture, syntax.OpStar: // a star of what may be empty is a plus within a quest
		size = 2
	case syntax.OpAlternate:
		size = int64(len(re.Sub))
	case syntax.OpRepeat:
		sub := programSize(re.Sub[0])
		if re.Max < 0 {
			return Add(Mul(max(1, int64(re.Min)), sub), 2) // the last one is a plus
		}
		return Add(Mul(int64(re.Max), sub), int64(re.Max-re.Min)+1)
	default: // one instruction, or what its parts have
	}
	for _, sub := range re.Sub {
		size = Add(size, programSize(sub))
	}
	return size
}

const (
	unmetered    = 512     // steps that cost less than to measure them
	uninterrupt  = 1 << 17 // steps of a match that is not interrupted: some milliseconds at most
	alwaysWithin = 1 << 29 // steps of a question that are within any limit, so that a busy machine refuses nothing
	checkEvery   = 256     // characters between two looks at the context
)

// MatchString reports whether the expression matches a text. Once the question
// is over its time, or its context has ended, it matches nothing.
func (p *Pattern) MatchString(text string) bool {
	steps := int64(len(text)) * p.size
	if steps < unmetered {
		return p.regexp.MatchString(text)
	}
	if p.of.stopped() {
		return false
	}
	start := time.Now()
	var matches bool
	if steps < uninterrupt {
		matches = p.regexp.MatchString(text)
	} else {
		matches = p.regexp.MatchReader(&interruptible{of: p.of, text: text})
	}
	took, all := p.of.matching.Add(int64(time.Since(start))), p.of.steps.Add(steps)
	if took > int64(p.of.limits.MatchTime) && all > alwaysWithin {
		_ = p.of.refuse(p.field, MatchTime, took/int64(time.Millisecond), p.of.limits.MatchTime.Milliseconds()) // the context says it
	}
	return matches && !p.of.stopped()
}

// stopped reports whether the context of the question has ended.
func (q *Question) stopped() bool {
	select {
	case <-q.done: // nil before Begin
		return true
	default:
		return false
	}
}

// interruptible reads a text for a regular expression, and ends it early when the
// question has ended.
type interruptible struct {
	of   *Question
	text string
	read int
}

// ReadRune implements io.RuneReader.
func (r *interruptible) ReadRune() (rune, int, error) {
	if r.read++; r.text == "" || r.read%checkEvery == 0 && r.of.stopped() {
		return 0, 0, io.EOF
	}
	char, n := utf8.DecodeRuneInString(r.text)
	r.text = r.text[n:]
	return char, n, nil
}
