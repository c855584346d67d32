package query

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
)

const maxSessionDays = 1 << 18 // sessions of one answer, each on each of its days; about 80 bytes each

// uses says which events of some users are uses of the application, as the User
// Events API lists them:
//
//   - An event without `$session_id` is a use of its own.
//   - Of the events of one session the first to arrive is. A session that was
//     silent for a whole UTC day is used anew when it goes on.
//   - `session_stop` and exceptions never are: with them a use ends, or fails.
//
// Events of one client arrive in one shard, so "first" is the smallest offset, and
// no later event can take that from a row: an answer only ever grows.
type uses struct {
	users users
	first map[sessionDay]int64 // smallest offset
	most  int                  // of first; see maxSessionDays
}

// sessionDay is one session of a user on one UTC day. The session is a hash, so
// that long ids take no memory.
type sessionDay struct {
	user    user
	shard   int32
	day     int64 // since 1970
	session [16]byte
}

// usesColumns are those that find and has read.
func usesColumns() []string {
	return append(userColumns(), columns.Name, columns.SessionID, columns.ExceptionClass)
}

// usesPeriod is what find reads for a period: the days of its events, and the day
// before and the day after.
func usesPeriod(from, to int64) (int64, int64) {
	if from <= math.MinInt64+2*dayMS || to >= math.MaxInt64-2*dayMS {
		return from, to
	}
	return (dayOf(from) - 1) * dayMS, (dayOf(to) + 2) * dayMS
}

// dayOf returns the UTC day of an instant, in days since 1970.
func dayOf(ms int64) int64 {
	day := ms / dayMS
	if ms%dayMS < 0 {
		day--
	}
	return day
}

// find reads which events were the first of their sessions.
func (u *uses) find(ctx context.Context, v *view.View, from, to int64) error {
	u.first = map[sessionDay]int64{}
	f := u.users.filter()
	f.TimeFrom, f.TimeTo = usesPeriod(from, to)
	for rec, err := range v.Events(ctx, append(usesColumns(), columns.Time, columns.Shard, columns.Offset), f) {
		if err != nil {
			return err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return fmt.Errorf("read sessions: %w", err)
		}
		for i := range rows.Rows {
			if !rows.SessionID.Null(i) && u.mayBe(&rows, i) {
				u.add(sessionDayOf(&rows, i), rows.Offset[i])
			}
		}
		if len(u.first) > u.most {
			return fieldError("bad_range", "until", fmt.Sprintf("ends a period in which the user has over %d sessions: ask for less of it", u.most))
		}
	}
	return nil
}

func (u *uses) add(key sessionDay, offset int64) {
	if first, ok := u.first[key]; !ok || offset < first {
		u.first[key] = offset
	}
}

// mayBe reports whether row i is of a user, and not of a kind that never is a use.
func (u *uses) mayBe(rows *columns.View, i int) bool {
	name := rows.Name.At(i)
	return name != schemas.SessionStop && name != schemas.ExceptionName && rows.ExceptionClass.Null(i) &&
		slices.Contains(u.users, user{rows.Product[i], rows.Client[i]})
}

// has returns which rows of a batch are uses.
func (u *uses) has(rows *columns.View) func(int) bool {
	return func(i int) bool {
		return u.mayBe(rows, i) && (rows.SessionID.Null(i) || u.isFirst(sessionDayOf(rows, i), rows.Offset[i]))
	}
}

// isFirst reports whether nothing of the session arrived before, of that day or of
// the days beside it.
func (u *uses) isFirst(key sessionDay, offset int64) bool {
	for day := key.day - 1; day <= key.day+1; day++ {
		near := key
		near.day = day
		if first, ok := u.first[near]; ok && first < offset {
			return false
		}
	}
	return true
}

func sessionDayOf(rows *columns.View, i int) sessionDay {
	sum := sha256.Sum256([]byte(rows.SessionID.At(i)))
	return sessionDay{
		user: user{rows.Product[i], rows.Client[i]}, shard: rows.Shard[i], day: dayOf(rows.TimeMS(i)), session: [16]byte(sum[:16]),
	}
}
