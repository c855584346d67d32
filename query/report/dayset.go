package report

import "math/bits"

// daySet is a set of days, or of numbers of buckets, as bits of consecutive
// words. Clients are active on days close to each other, so it takes a few words
// for each client.
type daySet struct {
	first int // number of the first word; word n has the days from 64n on
	words []uint64
}

// add adds a day and returns the bytes by which the set grew.
func (s *daySet) add(d Day) int64 {
	word := int(d) >> 6
	if len(s.words) == 0 {
		s.first = word
	}
	grown := 0
	if before := s.first - word; before > 0 {
		s.words = append(make([]uint64, before), s.words...)
		s.first, grown = word, before
	}
	if after := word - s.first - len(s.words) + 1; after > 0 {
		s.words = append(s.words, make([]uint64, after)...)
		grown += after
	}
	s.words[word-s.first] |= 1 << (uint(d) & 63)
	return int64(grown) * 8
}

// has reports whether a day is in the set.
func (s *daySet) has(d Day) bool {
	word := int(d)>>6 - s.first
	return word >= 0 && word < len(s.words) && s.words[word]&(1<<(uint(d)&63)) != 0
}

// len returns the number of days.
func (s *daySet) len() (n int64) {
	for _, w := range s.words {
		n += int64(bits.OnesCount64(w))
	}
	return n
}

// all yields the days, ascending.
func (s *daySet) all(yield func(Day) bool) {
	for i, w := range s.words {
		for ; w != 0; w &= w - 1 {
			if !yield(Day((s.first+i)<<6 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// countSplits returns the number of different days, weeks or months that the
// days are in.
func (s *daySet) countSplits(split Split) (n int64) {
	next := Day(minDay)
	for d := range s.all {
		if d >= next {
			_, next = bucketBounds(d, split)
			n++
		}
	}
	return n
}
