//go:build race

package query

// shareOfQuestions is which part of the random questions is asked, one in so many: the race
// detector, which makes each of them some ten times slower, looks at how they
// are answered, and the answers are looked at without it.
const shareOfQuestions = 4
