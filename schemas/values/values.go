// Package values reads what senders and askers write: numbers, flags, texts,
// lists, times and regular expressions. Every API, report, list and export reads
// by it, so that a spelling means the same wherever it stands; query/README.md
// "What each spelling means" has the table. It has no state, no clock and no
// I/O, and whatever it is given, it returns.
//
// What is stored is never changed by it: events keep the text that was sent, and
// a reading is made when it is asked for.
package values
