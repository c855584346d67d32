package lake

import (
	"context"
	"errors"
	"time"
)

// Expire drops the snapshots of t that are older than olderThan, but for the
// newest keep ones, and deletes the files that only they had.
func (l *Lake) Expire(ctx context.Context, t Table, olderThan time.Duration, keep int) error {
	return errors.New("expire: not built yet")
}

// Orphans deletes files of all tables that no snapshot has and that are older
// than olderThan, and returns how many.
func (l *Lake) Orphans(ctx context.Context, olderThan time.Duration) (int, error) {
	return 0, errors.New("orphans: not built yet")
}
