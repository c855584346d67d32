package lake

import (
	"context"
	"errors"
)

// ErrInputsGone says that a file to be replaced is no longer in the table.
var ErrInputsGone = errors.New("data files to replace are gone")

// Replace puts files in the place of old ones, which hold the same rows, and
// changes nothing else of the table.
func (l *Lake) Replace(ctx context.Context, t Table, old, files []DataFile) error {
	return errors.New("replace: not built yet")
}
