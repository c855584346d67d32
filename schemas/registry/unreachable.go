package registry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// Unreachable reports whether err means that the database is temporarily unavailable:
// no connection, a timeout, a server that starts, stops or lacks resources, or a file
// that another process locks for too long. It also works for errors of other users
// of DB.
func Unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code[:min(2, len(pg.Code))] {
		case "08", "53", "57": // classes of SQLSTATE: connection exception, insufficient resources, operator intervention
			return true
		}
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		const busy, locked = 5, 6
		primary := lite.Code() & 0xff
		return primary == busy || primary == locked
	}
	return false
}
