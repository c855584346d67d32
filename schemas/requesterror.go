package schemas

import "fmt"

// RequestError is an error the client may read. Any other error reaches the
// client as a bare 500, and reaches us through the log. Each contract spells
// it in its own published shape.
type RequestError struct {
	Status     int         // HTTP status
	Code       string      // stable, for machines: "bad_json", "missing_field", …
	Detail     string      // for the person who reads it
	RetryAfter int         // seconds; 0 sends no Retry-After
	Items      []ItemError // what is wrong with which item of a batch; may be empty
}

// ItemError names one bad item of a batch.
type ItemError struct {
	Index  int    `json:"index"`  // position in data[], from 0
	Field  string `json:"field"`  // the field, dotted; "" is the item itself
	Reason string `json:"reason"` // what is wrong and what would be right
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Detail)
}
