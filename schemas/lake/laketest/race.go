//go:build race

package laketest

// RepeatDivisor divides the number of repetitions of tests. The race detector makes
// each about ten times slower, and finds races in the first few; further seeds
// serve to check results, which is done without it.
const RepeatDivisor = 5

// HeapFactor is how many times the memory a test may find: under the race
// detector more values move to the heap.
const HeapFactor = 2
