//go:build race

package laketest

// RepeatDivisor is which part of what tests repeat with other numbers is done: one in
// so many. The race detector, which makes each some ten times slower, looks at
// how things are done; what comes of them is looked at without it.
const RepeatDivisor = 5
