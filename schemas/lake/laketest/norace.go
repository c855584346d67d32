//go:build !race

package laketest

// RepeatDivisor divides the number of repetitions of tests: by 1, except under the
// race detector.
const RepeatDivisor = 1

// HeapFactor is how many times the memory a test may find: 1, except under the
// race detector.
const HeapFactor = 1
