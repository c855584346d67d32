package schemas

import "fmt"

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
