package ingest

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"weir/schemas"
)

// budget bounds the memory that all requests hold together, from their first byte
// until Kafka has acknowledged their last record. Whoever allocates charges the
// capacity first, and gives it back when the memory is free again; nothing is
// charged for what a client only announces.
//
// Up to half of the limit anybody may take. Beyond it others want room: then one
// data source may hold no more than an eighth of the limit, and all sources of one
// account a quarter. So one account alone is fast, and can never keep another one
// from half of the memory.
//
// What has been let in must not be refused half-way, or a crowd of large bodies
// would refuse one another and none arrive. So a large body is let in by the length
// that it declares, by the same rule, but counted apart: others lose nothing by it.
type budget struct {
	limit, source, account int64 // bytes: of all, of a data source and of an account
	held                   atomic.Int64
	expected               atomic.Int64 // declared lengths of the large bodies that were let in
	accounts               sync.Map     // account id → *share; bounded by the number of accounts
	large                  fairQueue    // turns of large bodies, see turn
	decoders               fairQueue    // turns of all bodies
	records                fairQueue    // bytes of records that wait for Kafka
}

// share is what the requests of one data source, or of one account, hold.
type share struct {
	held, expected atomic.Int64
}

// newBudget returns a budget for a configuration that has its defaults.
func newBudget(c Config) *budget {
	b := &budget{limit: c.MaxHeldBytes, source: c.MaxSourceBytes, account: c.MaxAccountBytes}
	b.large.capacity, b.decoders.capacity, b.records.capacity = int64(max(1, c.Decoders/4)), int64(c.Decoders), c.MaxUnackedBytes
	return b
}

// shareOf returns the share of an account.
func (b *budget) shareOf(account string) *share {
	if found, ok := b.accounts.Load(account); ok {
		return found.(*share) //nolint:errcheck // nothing else is stored
	}
	found, _ := b.accounts.LoadOrStore(account, new(share))
	return found.(*share) //nolint:errcheck // nothing else is stored
}

// charge is what one request holds, or the records of one. It belongs to one
// goroutine at a time. Without a budget it counts nothing, as in tests of the
// decoder alone.
type charge struct {
	budget          *budget
	source, account *share
	bytes           int64
	expected        int64
	letIn           bool // a large body, or a request that has its turn: only the whole limits it
}

// expect lets in a large body of n bytes, or returns an overError.
func (c *charge) expect(n int64) error {
	b := c.budget
	if n <= largeBody || c.letIn {
		return nil
	}
	c.expected += n
	all, source, account := b.expected.Add(n), c.source.expected.Add(n), c.account.expected.Add(n)
	who := ""
	switch {
	case all <= b.limit/2, all == n: // one body may always try
	case source > b.source:
		who = overSource
	case account > b.account:
		who = overAccount
	}
	if who != "" {
		c.arrived()
		return &overError{who: who, what: "memory"}
	}
	c.letIn = true
	return nil
}

// arrived ends what expect has begun.
func (c *charge) arrived() {
	if n := c.expected; n != 0 {
		c.expected = 0
		c.budget.expected.Add(-n)
		c.source.expected.Add(-n)
		c.account.expected.Add(-n)
	}
}

// add charges n more bytes, or returns an overError and charges nothing.
func (c *charge) add(n int64) error {
	b := c.budget
	if b == nil || n == 0 {
		return nil
	}
	c.bytes += n
	held, source, account := b.held.Add(n), c.source.held.Add(n), c.account.held.Add(n)
	if held <= b.limit/2 {
		return nil
	}
	var who string
	switch {
	case held > b.limit:
		who = overWhole
	case c.letIn && c.bytes <= b.account:
		return nil
	case source > b.source:
		who = overSource
	case account > b.account:
		who = overAccount
	default:
		return nil
	}
	c.sub(n)
	return &overError{who: who, what: "memory"}
}

// sub gives n bytes back.
func (c *charge) sub(n int64) {
	if c.budget == nil || n == 0 {
		return
	}
	c.bytes -= n
	c.budget.held.Add(-n)
	c.source.held.Add(-n)
	c.account.held.Add(-n)
}

// release gives all bytes back.
func (c *charge) release() {
	c.sub(c.bytes)
	c.arrived()
}

// Who is over its part: values of overError.who and labels of the metric.
const (
	overSource  = "source"
	overAccount = "account"
	overWhole   = "whole"
)

// overError says who is over its part of the memory, or has waited too long for
// others of its own. Over the whole is nobody's own fault: that is a 503.
type overError struct {
	who  string
	what string // memory or turn
}

// Error is for the log.
func (e *overError) Error() string {
	return fmt.Sprintf("no %s for a request: the %s is over its part", e.what, e.who)
}

// Unwrap returns the answer for the client.
func (e *overError) Unwrap() error {
	answer := &schemas.RequestError{Status: http.StatusTooManyRequests, Code: codeTooMany, RetryAfter: 1}
	switch {
	case e.who == overWhole:
		answer.Status, answer.Code, answer.RetryAfter = http.StatusServiceUnavailable, codeUnavailable, 2
		answer.Detail = "the requests of all senders hold too much memory"
	case e.what != "memory":
		answer.Detail = "other requests of this account are handled first, and there are too many: send fewer at once"
	case e.who == overSource:
		answer.Detail = "the requests of this key hold too much memory: send fewer or smaller ones at once"
	default:
		answer.Detail = "the requests of this account hold too much memory: send fewer or smaller ones at once"
	}
	return answer
}
