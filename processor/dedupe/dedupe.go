// Package dedupe remembers which events one shard has stored within the dedupe
// window of log time, and reports which further events are duplicates of them.
//
// The window is a cache of the rows of the events table and never a truth of
// its own: it is rebuilt from those rows whenever the shard is taken over, so
// its files may be lost at any time. Memory is bounded whatever the rate of
// events is. The newest fingerprints are in a hash table; when that has its
// share of memory, it is written to a sorted file on local disk, and a Bloom
// filter in front of each file keeps most lookups away from the disk. Files are
// merged in the background as in a log-structured merge tree, and a file is
// dropped as a whole once the window has passed all that it holds.
//
// A read or write error of the disk is returned to the caller, who must drop
// the Window and rebuild it: a fingerprint that was not kept would turn the
// next copy of its event into a second row.
package dedupe

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// Window holds the fingerprints of the events of one shard. One goroutine owns
// it, and must call Close when it is done.
type Window struct {
	length int64        // of the window; milliseconds
	share  func() int64 // bytes of memory this shard may take now
	dir    string       // folder of the fingerprint files

	seeds  [2]maphash.Seed    // drawn at random for each Window, so that clients cannot construct collisions
	key    []byte             // scratch of hash
	recent recent             // the newest fingerprints, in memory
	files  []*fingerprintFile // the older ones, newest file first
	merge  *merge             // under way; nil when none is
	now    int64              // largest log time seen; epoch milliseconds
	buf    []byte             // scratch of lookups in files
	sorted []entry            // scratch of spill
}

// fingerprint is a 128-bit hash of product, client and random id. The zero
// value marks an empty slot of the hash table and is never that of an event. At
// 10⁹ events in a window the chance that any two collide is about 10⁻²¹.
type fingerprint struct{ hi, lo uint64 }

// entry is a fingerprint and the log time of the stored row that has it.
type entry struct {
	fingerprint
	at int64 // epoch milliseconds
}

// New returns an empty Window of the given length. logTime is the log time
// of the shard. dir is a folder on a local disk, share returns how many bytes of
// memory the Window may take; it is asked again and again, since the shares
// of a process change with the number of its shards.
func New(length time.Duration, logTime int64, dir string, share func() int64) *Window {
	return &Window{
		length: length.Milliseconds(), now: logTime, share: share, dir: dir,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// Duplicate reports whether a row of this product, client and random id was
// stored less than the window before log time now. If not, it remembers one as
// stored at now: the caller must store it, or drop the Window.
func (w *Window) Duplicate(product, client int64, randomID string, now int64) (bool, error) {
	w.now = max(w.now, now)
	f := w.hash(product, client, randomID)
	at, found := w.recent.find(f)
	if !found {
		var err error
		if at, found, err = w.findInFiles(f); err != nil {
			return false, err
		}
	}
	if found && now-at < w.length {
		return true, nil
	}
	return false, w.add(f, now)
}

// AddBatch remembers rows of events as stored. It reads their product, client,
// random id and arrival; the rows may come in any order.
func (w *Window) AddBatch(rows arrow.Record) error {
	v, err := columns.Bind(rows)
	if err != nil {
		return err
	}
	for i := range v.Rows {
		if err := w.add(w.hash(v.Product[i], v.Client[i], v.RandomID.At(i)), v.ArrivalMS(i)); err != nil {
			return err
		}
	}
	return nil
}

// Horizon is the log time at and before which stored rows no longer matter. It
// never moves back, because log time never does, so what it has passed may be
// forgotten.
func (w *Window) Horizon() int64 { return w.now - w.length }

// Close gives up memory and files, and waits for a merge that is under way.
func (w *Window) Close() error {
	var errs []error
	if w.merge != nil {
		w.merge.stop()
		merged, err := w.merge.wait()
		if merged != nil {
			errs = append(errs, merged.close())
		}
		if !errors.Is(err, errMergeStopped) {
			errs = append(errs, err)
		}
		w.merge = nil
	}
	errs = append(errs, closeAll(w.files))
	w.files, w.recent = nil, recent{}
	return errors.Join(errs...)
}

// hash returns the fingerprint of an event.
func (w *Window) hash(product, client int64, randomID string) fingerprint {
	w.key = binary.LittleEndian.AppendUint64(w.key[:0], uint64(product))
	w.key = binary.LittleEndian.AppendUint64(w.key, uint64(client))
	w.key = append(w.key, randomID...)
	f := fingerprint{hi: maphash.Bytes(w.seeds[0], w.key), lo: maphash.Bytes(w.seeds[1], w.key)}
	if f == (fingerprint{}) {
		f.lo = 1
	}
	return f
}

// findInFiles looks f up on disk. Files are asked from new to old, and the first
// that has f decides: a fingerprint is stored again only after its earlier time
// has left the window, so the newer file has the later time.
func (w *Window) findInFiles(f fingerprint) (at int64, found bool, err error) {
	for _, file := range w.files {
		if file.newest <= w.Horizon() || !file.bloom.mayContain(f) {
			continue
		}
		if at, found, err = file.find(f, &w.buf); err != nil || found {
			return at, found, err
		}
	}
	return 0, false, nil
}

// add remembers f as stored at log time `at`.
func (w *Window) add(f fingerprint, at int64) error {
	w.now = max(w.now, at)
	if w.recent.full() {
		if err := w.makeRoom(); err != nil {
			return err
		}
	}
	w.recent.put(f, at)
	return nil
}

// makeRoom drops expired fingerprints from memory, or lets the hash table grow,
// or, once that has its share, writes it to a file.
func (w *Window) makeRoom() error {
	if w.recent.dropExpired(w.Horizon()) {
		return nil
	}
	if w.recent.used < w.recentLimit() {
		w.recent.grow()
		return nil
	}
	if err := w.spill(); err != nil {
		return err
	}
	return w.maintainFiles()
}

// recentLimit is how many fingerprints stay in memory. Each takes up to four
// slots, since the table doubles when it is half full, and one entry of spill's
// scratch. All of them get half of the share; Bloom filters get the other half.
func (w *Window) recentLimit() int {
	return int(max(w.share()/(4*entryBytes+entryBytes), minSlots)) / 2
}

// spill moves the fingerprints in memory to a new file.
func (w *Window) spill() error {
	w.sorted = w.recent.appendTo(w.sorted[:0], w.Horizon())
	slices.SortFunc(w.sorted, func(a, b entry) int { return a.compare(b.fingerprint) })
	out, err := newFileWriter(w.dir, len(w.sorted))
	if err != nil {
		return err
	}
	for _, e := range w.sorted {
		out.add(e)
	}
	file, err := out.close()
	if err != nil {
		return err
	}
	w.files = slices.Insert(w.files, 0, file)
	w.recent.clear()
	return nil
}

// maintainFiles adopts a merge that has finished, drops files that the window
// has passed, starts the next merge, and holds the Bloom filters to their share
// of memory. Files are not dropped while a merge reads them.
func (w *Window) maintainFiles() error {
	if w.merge != nil && w.merge.finished() {
		if err := w.adoptMerge(); err != nil {
			return err
		}
	}
	if w.merge == nil {
		if err := w.dropExpiredFiles(); err != nil {
			return err
		}
		if from, to := filesToMerge(w.files); to > from {
			w.merge = startMerge(w.dir, slices.Clone(w.files[from:to]), w.Horizon())
		}
	}
	shrinkBlooms(w.files, w.share()/2)
	return nil
}

func (w *Window) dropExpiredFiles() error {
	var errs []error
	w.files = slices.DeleteFunc(w.files, func(f *fingerprintFile) bool {
		if f.newest > w.Horizon() {
			return false
		}
		errs = append(errs, f.close())
		return true
	})
	return errors.Join(errs...)
}

// adoptMerge puts the merged file in the place of its inputs. These are still
// neighbours: since the merge began, new files were only put in front of them.
func (w *Window) adoptMerge() error {
	m := w.merge
	w.merge = nil
	merged, err := m.wait()
	if err != nil {
		return err
	}
	first := slices.Index(w.files, m.inputs[0])
	w.files = slices.Replace(w.files, first, first+len(m.inputs), merged)
	return closeAll(m.inputs)
}

func closeAll(files []*fingerprintFile) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

func (f fingerprint) compare(g fingerprint) int {
	if c := cmp.Compare(f.hi, g.hi); c != 0 {
		return c
	}
	return cmp.Compare(f.lo, g.lo)
}
