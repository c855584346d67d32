package processor

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
)

// storyEvent returns an event whose columns all follow from its random id, except for
// its time, which is up to three days ago. So an id that is posted again is a
// duplicate of the same client, with another time. Together, a few dozen ids fill
// every column of events and rollups, and leave each optional one null.
func storyEvent(id string) *schemas.Event {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	n := h.Sum64() >> 8
	pick := func(choices uint64) uint64 {
		is := n % choices
		n /= choices
		return is
	}
	names := []string{"open", "save", schemas.SessionStart, schemas.SessionStop, schemas.ExceptionName}
	e := &schemas.Event{
		Product: 1 + int64(pick(2)), Client: 1 + int64(pick(4)), Name: names[pick(5)], RandomID: id,
		Time: time.Now().UnixMilli() - int64(pick(4))*86_400_000 - int64(pick(1000)), SessionID: "session " + id,
		AppKey: "key", AppName: "editor", AppVersion: fmt.Sprint("1.", pick(3)), ContentLocale: "de", UILocale: "en",
		UserAgent: "agent", IP: fmt.Sprint("10.0.0.", pick(3)),
	}
	fillOptional(e, pick)
	return e
}

// fillOptional fills the columns that may be null.
func fillOptional(e *schemas.Event, pick func(choices uint64) uint64) {
	if c := pick(3); c > 0 {
		category := []string{"", "menu"}[c-1]
		e.Category = &category
	}
	if pick(2) > 0 {
		value := decimal128.FromI64(int64(pick(1000)) * 250_000_001)
		e.Value, e.ValueText = &value, "value of "+e.RandomID
	}
	if e.Name == schemas.SessionStop || pick(3) == 0 {
		runtime := 1 + int64(pick(100_000))
		e.RuntimeMS = &runtime
	}
	if c := pick(3); c > 0 {
		offline := c > 1
		e.Offline = &offline
	}
	if pick(3) > 0 {
		e.ClientProps = fmt.Appendf(nil, `{"prodVersion":"%d","os.platform":"linux","C%02d":"x%d"}`, pick(3), pick(4), pick(5))
	}
	if pick(2) > 0 {
		e.User, e.Properties = []byte(`{"id":"u1"}`), fmt.Appendf(nil, `{"plan":"%d"}`, pick(5))
	}
	if e.Name == schemas.ExceptionName {
		e.Exception = &schemas.Exception{Class: "E", Method: "m", Message: "at " + e.RandomID, Stack: "s"}
	}
}

// storyChange returns a change of properties or of contacts, by the length and bytes
// of what is set.
func storyChange(plan string) *schemas.Change {
	e := storyEvent(plan)
	c := &schemas.Change{Product: e.Product, Client: e.Client, Time: time.Now().UnixMilli(), Kind: schemas.PropertyChange, Operation: schemas.OpSet}
	c.Values = fmt.Appendf(nil, `{"plan":%q}`, plan)
	switch {
	case e.Value == nil:
		c.Kind, c.Values = schemas.ContactChange, fmt.Appendf(nil, `{"email":%q}`, plan+"@example.com")
	case e.Offline == nil:
		c.Operation = schemas.OpDelete
	}
	return c
}
