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
type budget struct {
	limit, source, account int64 // bytes: of all, of a data source and of an account
	held                   atomic.Int64
	accounts               sync.Map // account id → *share; bounded by the number of accounts
	large                  gate     // turns of large bodies, see turn
	decoders               gate     // turns of all bodies
	records                gate     // bytes of records that wait for Kafka
}

// share is what the requests of one data source, or of one account, hold.
type share struct {
	held atomic.Int64
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
func (c *charge) release() { c.sub(c.bytes) }

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
