package registry

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// defaultCallTimeout is Config.CallTimeout if none is set.
const defaultCallTimeout = 30 * time.Second

// errCallTimeout is the reason of a call that took longer than Config.CallTimeout.
// It wraps DeadlineExceeded, so that Unreachable counts it as temporary.
var errCallTimeout = fmt.Errorf("the database did not answer within database.call_timeout: %w", context.DeadlineExceeded)

// errNoStatements refuses prepared statements, whose calls would have no deadline.
var errNoStatements = errors.New("prepared statements are not supported: their calls would have no deadline")

// unlimited marks the context of calls that may take any time.
type unlimited struct{}

// withoutDeadline exempts the calls with ctx from Config.CallTimeout. A migration may
// rewrite a large table, or wait for another process that does.
func withoutDeadline(ctx context.Context) context.Context {
	return context.WithValue(ctx, unlimited{}, true)
}

// deadlines gives every call to the database a deadline: connecting, a statement with
// the reading of its rows, and a transaction from its begin to the end of its commit.
// It sits below database/sql, so no caller of the registry or of DB can forget it.
// Without it a server that stops answering holds its caller for ever, and one of
// these is the only committer of a processor.
type deadlines struct {
	within   time.Duration
	exceeded atomic.Int64 // calls that were given up
}

// begin returns the context of one call; end must be called with its result, and
// names the deadline as the reason if that has passed.
func (d *deadlines) begin(ctx context.Context) (limited context.Context, end func(error) error) {
	if ctx.Value(unlimited{}) != nil {
		return ctx, func(err error) error { return err }
	}
	limited, cancel := context.WithTimeoutCause(ctx, d.within, errCallTimeout)
	return limited, func(err error) error {
		late := err != nil && context.Cause(limited) == errCallTimeout //nolint:errorlint // this very value
		cancel()
		if !late {
			return err
		}
		d.exceeded.Add(1)
		return fmt.Errorf("%w: %w", errCallTimeout, err)
	}
}

// connector makes connections with deadlines.
type connector struct {
	driver.Connector
	deadlines *deadlines
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, end := c.deadlines.begin(ctx)
	inner, err := c.Connector.Connect(ctx)
	if err := end(err); err != nil {
		return nil, err
	}
	full, ok := inner.(fullConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connection %T has no calls with a context", inner), inner.Close())
	}
	return conn{full, c.deadlines}, nil
}

// fullConn is what the connections of both drivers can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
}

// conn is a connection whose calls have deadlines.
type conn struct {
	fullConn
	deadlines *deadlines
}

// Prepare implements driver.Conn.
func (conn) Prepare(string) (driver.Stmt, error) { return nil, errNoStatements }

// ExecContext implements driver.ExecerContext.
func (c conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ctx, end := c.deadlines.begin(ctx)
	res, err := c.fullConn.ExecContext(ctx, query, args)
	return res, end(err)
}

// QueryContext implements driver.QueryerContext. The deadline covers the reading of the
// rows, until they are closed.
func (c conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ctx, end := c.deadlines.begin(ctx)
	inner, err := c.fullConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, end(err)
	}
	return rows{inner, end}, nil
}

// BeginTx implements driver.ConnBeginTx. The deadline is that of the whole transaction.
func (c conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	ctx, end := c.deadlines.begin(ctx)
	inner, err := c.fullConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, end(err)
	}
	return tx{inner, end}, nil
}

// Ping implements driver.Pinger.
func (c conn) Ping(ctx context.Context) error {
	ctx, end := c.deadlines.begin(ctx)
	return end(c.fullConn.Ping(ctx))
}

// ResetSession implements driver.SessionResetter.
func (c conn) ResetSession(ctx context.Context) error {
	ctx, end := c.deadlines.begin(ctx)
	return end(c.fullConn.ResetSession(ctx))
}

// IsValid implements driver.Validator, which only one of the drivers has.
func (c conn) IsValid() bool {
	v, ok := c.fullConn.(driver.Validator)
	return !ok || v.IsValid()
}

// CheckNamedValue implements driver.NamedValueChecker, which only one of the drivers has.
func (c conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.fullConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// rows are the rows of a query with a deadline.
type rows struct {
	driver.Rows
	end func(error) error
}

// Next implements driver.Rows.
func (r rows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return r.end(err)
}

// Close implements driver.Rows.
func (r rows) Close() error { return r.end(r.Rows.Close()) }

// tx is a transaction with a deadline.
type tx struct {
	driver.Tx
	end func(error) error
}

// Commit implements driver.Tx.
func (t tx) Commit() error { return t.end(t.Tx.Commit()) }

// Rollback implements driver.Tx.
func (t tx) Rollback() error { return t.end(t.Tx.Rollback()) }
