//go:build race

package laketest

// RepeatDivisor divides the number of repetitions of tests. The race detector makes
// each about ten times slower, and finds races in the first few; further seeds
// serve to check results, which is done without it.
const RepeatDivisor = 5
