package registry

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxText  = 256 // of a name that is only displayed; bytes
	maxChunk = 500 // values of one statement
)

// toMicros returns t as it is stored: epoch microseconds, 0 for the zero time.
func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of toMicros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// currentTime returns the time in the precision of the database: microseconds.
func currentTime() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// boolToInt returns b as it is stored.
func boolToInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// nullableBool returns b as it is stored; NULL for nil.
func nullableBool(b *bool) *int64 {
	if b == nil {
		return nil
	}
	n := boolToInt(*b)
	return &n
}

// validText refuses text that PostgreSQL cannot store or that is too long to display.
func validText(what, text string) error {
	if len(text) > maxText {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrInvalid, what, maxText)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("%w: %s is not UTF-8 text", ErrInvalid, what)
	}
	return nil
}

// toStorableText replaces what PostgreSQL cannot store. Stored text never needs it, so
// changed text matches nothing.
func toStorableText(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
