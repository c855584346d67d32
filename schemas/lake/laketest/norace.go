//go:build !race

package laketest

// RepeatDivisor divides the number of repetitions of tests: by 1, except under the
// race detector.
const RepeatDivisor = 1
