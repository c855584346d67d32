// Package report compiles the questions of the Reporting API and computes their
// answers. It holds questions, filters, segments, buckets of days and bins, and
// the arithmetic that turns rows of rollups into numbers. It has no clock and
// does no I/O: the caller passes the current time (Params.Now) and the rows
// (Source).
//
// Read it in the order of a question. body.go and the file of the report
// compile the request. question.go asks the Source for rows, one pass over some
// of the clients after another. clientstats.go and history.go keep what the
// rows say about each client. clientactivity.go, clientvalue.go,
// clientfilter.go and clientseries.go answer what a client was like on a day.
// The file of the report counts clients and encodes the answer.
//
// Every report is a function that compiles a Body to a Question, and a type
// with the methods aggregate and result. Rows may arrive in any order and in
// any split, because rollups merge.
//
// One rule decides which value of a daily property counts: the last value known
// at the end of a bucket, of the range, or of the day of installation, as the
// published document sets for each report (see asOf). Other properties have
// their current value alone.
//
// Memory is bounded: see Question.Answer.
package report

import (
	"fmt"

	"weir/schemas/values"
)

// FieldError is a request that is refused: it names the field that is wrong and
// the reason. The client reads both.
type FieldError struct {
	Field  string // dotted
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// fieldErrorf returns a FieldError for a field, with a formatted reason.
func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// NullLabel stands for null in answers, and is read as null where a client
// sends it, as published.
const NullLabel = values.NullText
