package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/registry"
)

// identity says which rows of the product a file of an open day is made of. Events
// never change, and in each shard a view has all below an offset, so how many there
// are and which is the last is enough. Those of later days count too: they may say
// what a client had at an earlier event.
func identity(ctx context.Context, v *view.View, product int64, day Period) (string, error) {
	type rows struct{ count, last int64 }
	found := map[int32]rows{}
	f := columns.Filter{Products: []int64{product}, ArrivalFrom: day.First.UnixMilli()}
	for rec, err := range v.Events(ctx, identityColumns(), f) {
		if err != nil {
			return "", err
		}
		b, err := columns.Bind(rec)
		if err != nil {
			return "", fmt.Errorf("read events: %w", err)
		}
		for i := range b.Rows {
			r := found[b.Shard[i]]
			found[b.Shard[i]] = rows{r.count + 1, max(r.last, b.Offset[i])}
		}
	}
	sum := sha256.New()
	for _, shard := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(sum, "%d %d %d\n", shard, found[shard].count, found[shard].last) //nolint:errcheck // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

func identityColumns() []string { return []string{columns.Shard, columns.Offset} }

// current reports whether last is a file of these rows as this version writes them,
// whose object can be kept for another link.
func current(ctx context.Context, f *Files, q Question, last registry.ExportFile, rows string) (bool, error) {
	made, ok := strings.CutPrefix(last.Key, keyPrefix(q.Product, q.Kind))
	made, _, _ = strings.Cut(made, "/")
	if !ok || !strings.HasSuffix(made, "-"+rows) {
		return false, nil
	}
	return registry.ExtendExport(ctx, f.registry, last.Key, openDayTTL(f))
}

// openDayTTL is how long the object of an open day is kept. A build is given out
// for one DownloadTTL, and each link works for another: its object outlives both.
func openDayTTL(f *Files) time.Duration { return 2*f.cfg.DownloadTTL + expiryMargin }

// replacedMargin is how long the object of an open day outlives its last link when a
// later build has replaced it. A download that has begun goes on when its object is
// deleted: stores keep what they are sending.
const replacedMargin = 5 * time.Minute

// room fails with a 429 while the product has Config.DayFiles objects that are not
// deleted yet. A little more is possible where several are built at once.
func room(ctx context.Context, f *Files, product int64) error {
	objects, due, err := registry.WaitingDeletes(ctx, f.registry, product)
	if err != nil || objects < f.cfg.DayFiles {
		return err
	}
	f.metrics.rejected.WithLabelValues("quota").Inc()
	return &schemas.RequestError{
		Status: http.StatusTooManyRequests, Code: "too_many_files", RetryAfter: int((due + f.cfg.CloseEvery).Seconds()) + 1,
		Detail: "product " + strconv.FormatInt(product, 10) + " has " + strconv.Itoa(objects) + " files of open days whose links may still work, ask less often",
	}
}

// fileLocks let one at a time work on each file: who comes second finds what the first
// has built. The zero value works.
type fileLocks struct {
	mu    sync.Mutex
	files map[string]*fileLock
}

type fileLock struct {
	taken chan struct{}
	users int // that have it or wait; guarded by fileLocks.mu
}

// lock waits for the lock of a file until ctx ends. The caller calls unlock.
func (l *fileLocks) lock(ctx context.Context, file string) (unlock func(), err error) {
	l.mu.Lock()
	if l.files == nil {
		l.files = map[string]*fileLock{}
	}
	one, ok := l.files[file]
	if !ok {
		one = &fileLock{taken: make(chan struct{}, 1)}
		l.files[file] = one
	}
	one.users++
	l.mu.Unlock()
	drop := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.files, file)
		}
	}
	select {
	case one.taken <- struct{}{}:
		return func() { <-one.taken; drop() }, nil
	case <-ctx.Done():
		drop()
		return nil, fmt.Errorf("wait for the build of a file: %w", ctx.Err())
	}
}
