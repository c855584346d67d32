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

// Unreachable says whether err means that the database does not answer just
// now and may in a moment: no connection, none in time, a server that starts,
// stops or has no room, a file that somebody else holds for too long. It holds
// for whatever else uses DB, too.
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
		case "08", "53", "57": // connection; resources; an operator, a shutdown, a timeout
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
