package processor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
)

// run is a sorted, immutable set of fingerprints on local disk. Its files have
// no name: whatever becomes of the process, they are gone with it.
type run struct {
	entries *os.File // n entries of entryBytes, ascending by fingerprint
	index   *os.File // for each bucket of the highest bits of hi, and one past the last: the number of its first entry
	shift   uint     // hi >> shift is the bucket
	n       int64
	level   int   // 0 as it comes from the table; a merge is one higher than its inputs
	newest  int64 // largest time
	filter  filter
}

const (
	bucketEntries = 64       // about this many entries in a bucket: one read of 1.5 kB
	runBuffer     = 64 << 10 // of each file that is read or written in order
	mergeWidth    = 4        // runs of one level that become one
)

// find looks f up with two small reads. buf is scratch that may grow.
func (r *run) find(f fingerprint, buf *[]byte) (at int64, found bool, err error) {
	*buf = slices.Grow((*buf)[:0], 16)[:16]
	if _, err := r.index.ReadAt(*buf, 8*int64(f.hi>>r.shift)); err != nil {
		return 0, false, fmt.Errorf("read fingerprint index: %w", err)
	}
	from, to := int64(binary.LittleEndian.Uint64(*buf)), int64(binary.LittleEndian.Uint64((*buf)[8:]))
	size := int(to-from) * entryBytes
	*buf = slices.Grow((*buf)[:0], size)[:size]
	if _, err := r.entries.ReadAt(*buf, from*entryBytes); err != nil {
		return 0, false, fmt.Errorf("read fingerprints: %w", err)
	}
	for b := *buf; len(b) > 0; b = b[entryBytes:] {
		if e := decodeEntry(b); e.fingerprint == f {
			return e.at, true, nil
		}
	}
	return 0, false, nil
}

func (r *run) close() error { return errors.Join(r.entries.Close(), r.index.Close()) }

// mergeable is the range of runs to merge next: the newest ones of one level
// that are enough. Levels never fall from one run to the next.
func mergeable(runs []*run) (from, to int) {
	for from = 0; from < len(runs); from = to {
		for to = from; to < len(runs) && runs[to].level == runs[from].level; to++ {
		}
		if to-from >= mergeWidth {
			return from, to
		}
	}
	return 0, 0
}

// fold makes filters coarser until they take at most limit bytes together.
func fold(runs []*run, limit int64) {
	for {
		var sum int64
		var largest *run
		for _, r := range runs {
			sum += r.filter.bytes()
			if largest == nil || r.filter.bytes() > largest.filter.bytes() {
				largest = r
			}
		}
		if sum <= limit || !largest.filter.fold() {
			return
		}
	}
}

// runWriter writes a run, entry by entry in ascending order. The first error
// is kept for close.
type runWriter struct {
	run     *run
	entries *bufio.Writer
	index   *bufio.Writer
	bucket  uint64 // first one whose start is not written yet
	err     error
}

// newRunWriter starts a run of at most n entries.
func newRunWriter(dir string, n int) (*runWriter, error) {
	entries, err := nameless(dir)
	if err != nil {
		return nil, err
	}
	index, err := nameless(dir)
	if err != nil {
		return nil, errors.Join(err, entries.Close())
	}
	r := &run{
		entries: entries, index: index, newest: minTime,
		shift:  64 - uint(bits.Len(uint(n/bucketEntries))),
		filter: newFilter(n),
	}
	return &runWriter{run: r, entries: bufio.NewWriterSize(entries, runBuffer), index: bufio.NewWriterSize(index, runBuffer)}, nil
}

// nameless is a temporary file that is already deleted.
func nameless(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "weir-fingerprints-*")
	if err != nil {
		return nil, fmt.Errorf("create fingerprint file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink fingerprint file: %w", err), f.Close())
	}
	return f, nil
}

func (w *runWriter) add(e storedAt) {
	w.startBuckets(e.hi >> w.run.shift)
	var b [entryBytes]byte
	binary.LittleEndian.PutUint64(b[:], e.hi)
	binary.LittleEndian.PutUint64(b[8:], e.lo)
	binary.LittleEndian.PutUint64(b[16:], uint64(e.at))
	if _, err := w.entries.Write(b[:]); err != nil && w.err == nil {
		w.err = err
	}
	w.run.filter.add(e.fingerprint)
	w.run.newest = max(w.run.newest, e.at)
	w.run.n++
}

// startBuckets writes where buckets up to and with `last` start: here.
func (w *runWriter) startBuckets(last uint64) {
	for ; w.bucket <= last; w.bucket++ {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(w.run.n))
		if _, err := w.index.Write(b[:]); err != nil && w.err == nil {
			w.err = err
		}
	}
}

func (w *runWriter) close() (*run, error) {
	w.startBuckets(1 << (64 - w.run.shift))
	if err := errors.Join(w.err, w.entries.Flush(), w.index.Flush()); err != nil {
		return nil, errors.Join(fmt.Errorf("write fingerprints: %w", err), w.run.close())
	}
	return w.run, nil
}

// runReader reads a run in order.
type runReader struct {
	r    *bufio.Reader
	left int64
	head storedAt // valid while ok
	ok   bool
}

func (r *run) reader() *runReader {
	return &runReader{r: bufio.NewReaderSize(io.NewSectionReader(r.entries, 0, r.n*entryBytes), runBuffer), left: r.n}
}

// next moves head on.
func (r *runReader) next() error {
	r.ok = r.left > 0
	if !r.ok {
		return nil
	}
	r.left--
	var b [entryBytes]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return fmt.Errorf("read fingerprints: %w", err)
	}
	r.head = decodeEntry(b[:])
	return nil
}

func decodeEntry(b []byte) storedAt {
	return storedAt{
		fingerprint: fingerprint{hi: binary.LittleEndian.Uint64(b), lo: binary.LittleEndian.Uint64(b[8:])},
		at:          int64(binary.LittleEndian.Uint64(b[16:])),
	}
}
