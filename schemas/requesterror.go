package schemas

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// RequestError is an error that the client may read. Any other error reaches
// the client as a bare 500, and the operator through the log. Each API encodes
// it in its own published shape.
type RequestError struct {
	Status     int         // HTTP status
	Code       string      // stable, for machines: "bad_json", "missing_field", …
	Detail     string      // for a person
	RetryAfter int         // seconds; 0 sends no Retry-After
	Items      []ItemError // the bad items of a batch; may be empty
}

// ItemError names one bad item of a batch.
type ItemError struct {
	Index  int    `json:"index"`  // position in data[], from 0
	Field  string `json:"field"`  // dotted name of the field; "" is the item itself
	Reason string `json:"reason"` // what is wrong and what would be valid
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Detail)
}

// An error shows the start of a long text, which names the field and what was sent, and
// its end, which says what is wrong with it; in characters.
const (
	maxErrorText  = 400
	errorTextHead = 200
	errorTextTail = 150
)

// Shortened returns e as it may be sent. Its texts may quote whatever the client sent,
// which can be as long as a body may be. All APIs encode their errors of what this
// returns, so that nobody who makes an error needs to think of it.
func (e *RequestError) Shortened() *RequestError {
	short := *e
	short.Detail = shortenErrorText(e.Detail)
	short.Items = slices.Clone(e.Items)
	for i, item := range short.Items {
		short.Items[i].Field, short.Items[i].Reason = shortenErrorText(item.Field), shortenErrorText(item.Reason)
	}
	return &short
}

// shortenErrorText returns a text of maxErrorText characters at most, with an ellipsis
// where it is cut, which is never within a character.
func shortenErrorText(text string) string {
	if len(text) <= maxErrorText || utf8.RuneCountInString(text) <= maxErrorText {
		return text
	}
	head, tail := 0, len(text)
	for range errorTextHead {
		_, size := utf8.DecodeRuneInString(text[head:])
		head += size
	}
	for range errorTextTail {
		_, size := utf8.DecodeLastRuneInString(text[:tail])
		tail -= size
	}
	return text[:head] + "…" + text[tail:]
}
