// Package report is what a report is asked and what it says: questions,
// filters, segments, buckets of days, bins, and how rows of rollups become
// numbers. It is pure: no clock (a question is given its now) and no I/O (a
// Source gives it rows).
//
// It reads in the order of a question: body.go and the file of the report
// compile it; question.go asks the Source for rows, pass by pass; facts.go and
// past.go gather what they say of each client; look.go looks at a client at a
// moment; the file of the report counts, and spells the answer.
//
// Every report goes that way: a report is a compile function, and a type with
// tally and answer. Rows may come in any order and any split, as rollups merge.
//
// One rule decides which value of a standard property counts: the last known
// at the moment that is looked at, the end of a bucket, of the range or of the
// day of installation. Properties that are no standard ones have only their
// current value.
//
// Memory is bounded: see Question.Answer.
package report

import "fmt"

// FieldError says which field of a question is wrong, and why.
type FieldError struct {
	Field  string // dotted
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// NullLabel is how null is written, in answers and by who sends it.
const NullLabel = "<NULL>"
