package dedupe

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

// fingerprintFile is a sorted, immutable set of entries on local disk. It is two
// files, both unlinked as soon as they are made: however the process ends, the
// system frees their space and nothing is left for a later start to clean up.
type fingerprintFile struct {
	entries *os.File // n entries of entryBytes, ascending by fingerprint
	index   *os.File // for each bucket of the highest bits of hi, and one past the last: the number of its first entry
	shift   uint     // hi >> shift is the bucket
	n       int64
	level   int   // 0 for a file that spill wrote; a merged file is one above its inputs
	newest  int64 // largest log time of its entries
	bloom   bloom
}

const (
	bucketEntries = 64       // about this many entries in a bucket: one read of 1.5 kB
	fileBuffer    = 64 << 10 // for each file that is read or written in order
)

// find looks f up with two small reads: of the index, and of f's bucket. buf is
// scratch that may grow.
func (f *fingerprintFile) find(want fingerprint, buf *[]byte) (at int64, found bool, err error) {
	*buf = slices.Grow((*buf)[:0], 16)[:16]
	if _, err := f.index.ReadAt(*buf, 8*int64(want.hi>>f.shift)); err != nil {
		return 0, false, fmt.Errorf("read fingerprint index: %w", err)
	}
	from, to := int64(binary.LittleEndian.Uint64(*buf)), int64(binary.LittleEndian.Uint64((*buf)[8:]))
	size := int(to-from) * entryBytes
	*buf = slices.Grow((*buf)[:0], size)[:size]
	if _, err := f.entries.ReadAt(*buf, from*entryBytes); err != nil {
		return 0, false, fmt.Errorf("read fingerprints: %w", err)
	}
	for b := *buf; len(b) > 0; b = b[entryBytes:] {
		if e := decodeEntry(b); e.fingerprint == want {
			return e.at, true, nil
		}
	}
	return 0, false, nil
}

func (f *fingerprintFile) close() error { return errors.Join(f.entries.Close(), f.index.Close()) }

// fileWriter writes a fingerprintFile. Entries must come in ascending order. The
// first error is kept and returned by close.
type fileWriter struct {
	file    *fingerprintFile
	entries *bufio.Writer
	index   *bufio.Writer
	bucket  uint64 // the first whose start is not written yet
	err     error
}

// newFileWriter starts a file of at most n entries.
func newFileWriter(dir string, n int) (*fileWriter, error) {
	entries, err := unlinkedTempFile(dir)
	if err != nil {
		return nil, err
	}
	index, err := unlinkedTempFile(dir)
	if err != nil {
		return nil, errors.Join(err, entries.Close())
	}
	f := &fingerprintFile{
		entries: entries, index: index, newest: minTime,
		shift: 64 - uint(bits.Len(uint(n/bucketEntries))),
		bloom: newBloom(n),
	}
	return &fileWriter{file: f, entries: bufio.NewWriterSize(entries, fileBuffer), index: bufio.NewWriterSize(index, fileBuffer)}, nil
}

// unlinkedTempFile returns an open temporary file that has no name any more.
func unlinkedTempFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "weir-fingerprints-*")
	if err != nil {
		return nil, fmt.Errorf("create fingerprint file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink fingerprint file: %w", err), f.Close())
	}
	return f, nil
}

func (w *fileWriter) add(e entry) {
	w.startBuckets(e.hi >> w.file.shift)
	var b [entryBytes]byte
	binary.LittleEndian.PutUint64(b[:], e.hi)
	binary.LittleEndian.PutUint64(b[8:], e.lo)
	binary.LittleEndian.PutUint64(b[16:], uint64(e.at))
	if _, err := w.entries.Write(b[:]); err != nil && w.err == nil {
		w.err = err
	}
	w.file.bloom.add(e.fingerprint)
	w.file.newest = max(w.file.newest, e.at)
	w.file.n++
}

// startBuckets writes to the index that all buckets up to `last` which have no
// start yet start at the next entry. Empty buckets so get the start of the
// bucket that follows them.
func (w *fileWriter) startBuckets(last uint64) {
	for ; w.bucket <= last; w.bucket++ {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(w.file.n))
		if _, err := w.index.Write(b[:]); err != nil && w.err == nil {
			w.err = err
		}
	}
}

// close finishes the file, or closes it and returns the first error.
func (w *fileWriter) close() (*fingerprintFile, error) {
	w.startBuckets(1 << (64 - w.file.shift))
	if err := errors.Join(w.err, w.entries.Flush(), w.index.Flush()); err != nil {
		return nil, errors.Join(fmt.Errorf("write fingerprints: %w", err), w.file.close())
	}
	return w.file, nil
}

// fileReader reads the entries of a file in order.
type fileReader struct {
	r    *bufio.Reader
	left int64
	head entry // valid while ok
	ok   bool
}

func (f *fingerprintFile) reader() *fileReader {
	return &fileReader{r: bufio.NewReaderSize(io.NewSectionReader(f.entries, 0, f.n*entryBytes), fileBuffer), left: f.n}
}

// next reads the next entry into head, or clears ok at the end.
func (r *fileReader) next() error {
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

func decodeEntry(b []byte) entry {
	return entry{
		fingerprint: fingerprint{hi: binary.LittleEndian.Uint64(b), lo: binary.LittleEndian.Uint64(b[8:])},
		at:          int64(binary.LittleEndian.Uint64(b[16:])),
	}
}
