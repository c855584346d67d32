//go:build !race

package laketest

// RepeatDivisor is which part of what tests repeat with other numbers is done: all of
// it, but under the race detector.
const RepeatDivisor = 1
