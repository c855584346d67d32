//go:build !race

package laketest

// OneIn is which part of what tests repeat with other numbers is done: all of
// it, but under the race detector.
const OneIn = 1
