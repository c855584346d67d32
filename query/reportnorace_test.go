//go:build !race

package query

// shareOfQuestions is which part of the random questions is asked: all of them,
// but under the race detector.
const shareOfQuestions = 1
