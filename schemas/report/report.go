// Package report is what a report is asked and what it says: questions,
// filters, segments, buckets of days, bins, and the tallies that turn rollup
// rows into numbers. It is pure: no clock (a question carries its today) and no
// I/O (rows are handed to it).
//
// A question is compiled once. Rows of lives, client days and event days are
// added in any order and any split, as rollups merge; then the tally is read.
//
// One rule decides which value of a standard property counts: the last known
// at the end of the bucket. A range without a split is one bucket, so that is
// its last known value; with a split by day it is the day's. Properties that
// are no standard ones have only their current value.
//
// Memory: one entry for each client of the product, of some 200 bytes and 24
// for each property that the question reads. Nothing is spilled.
package report

import "fmt"

// FieldError says which field of a question is wrong, and why.
type FieldError struct {
	Field  string // dotted
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// NullLabel is how null is written, in answers and by who sends it.
const NullLabel = "<NULL>"
