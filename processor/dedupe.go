package processor

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// dedupe remembers what one shard has stored within the window of log time.
// What it says is a function of the rows of `events` and of nothing else: it
// is a cache of them, rebuilt when the shard is taken over.
//
// Memory is bounded by share whatever the rate: recent fingerprints lie in a
// table, older ones in sorted runs on local disk, behind filters that grow
// coarser as the runs grow. It belongs to one goroutine.
type dedupe struct {
	window int64        // milliseconds
	share  func() int64 // bytes of memory this shard may take now
	dir    string       // where runs lie

	seeds  [2]maphash.Seed // of this life: who sends events cannot know what collides
	key    []byte          // scratch of hash
	recent table
	runs   []*run     // newest first
	merge  *merge     // under way; nil when none is
	now    int64      // largest log time seen; fingerprints at or below now − window are no longer of interest
	buf    []byte     // scratch of run lookups
	sorted []storedAt // scratch of spill
}

// fingerprint stands for product, client and random id of an event. It is
// never zero.
type fingerprint struct{ hi, lo uint64 }

// storedAt is a fingerprint and the log time of the row it stands for.
type storedAt struct {
	fingerprint
	at int64
}

func newDedupe(window time.Duration, dir string, share func() int64) *dedupe {
	return &dedupe{
		window: window.Milliseconds(), share: share, dir: dir,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// duplicate says whether a row of f was stored less than the window before
// now. If not, f counts as stored at now: the caller stores it.
func (d *dedupe) duplicate(f fingerprint, now int64) (bool, error) {
	d.now = max(d.now, now)
	at, found := d.recent.find(f)
	if !found {
		var err error
		if at, found, err = d.inRuns(f); err != nil {
			return false, err
		}
	}
	if found && now-at < d.window {
		return true, nil
	}
	return false, d.stored(f, now)
}

// stored remembers that a row of f was stored at log time `at`.
func (d *dedupe) stored(f fingerprint, at int64) error {
	d.now = max(d.now, at)
	if d.recent.full() {
		if err := d.makeRoom(); err != nil {
			return err
		}
	}
	d.recent.put(f, at)
	return nil
}

// addBatch remembers rows of events: product, client, random id and arrival.
func (d *dedupe) addBatch(rows arrow.Record) error {
	v, err := columns.Bind(rows)
	if err != nil {
		return err
	}
	for i := range v.Rows {
		if err := d.stored(d.hash(v.Product[i], v.Client[i], v.RandomID.At(i)), v.ArrivalMS(i)); err != nil {
			return err
		}
	}
	return nil
}

// hash is the fingerprint of an event.
func (d *dedupe) hash(product, client int64, randomID string) fingerprint {
	d.key = binary.LittleEndian.AppendUint64(d.key[:0], uint64(product))
	d.key = binary.LittleEndian.AppendUint64(d.key, uint64(client))
	d.key = append(d.key, randomID...)
	f := fingerprint{hi: maphash.Bytes(d.seeds[0], d.key), lo: maphash.Bytes(d.seeds[1], d.key)}
	if f == (fingerprint{}) {
		f.lo = 1
	}
	return f
}

// horizon is the log time at and before which nothing counts any more. Log
// time never runs backwards, so what has passed it may be forgotten.
func (d *dedupe) horizon() int64 { return d.now - d.window }

// inRuns looks f up in the runs. The newest one that has it knows best.
func (d *dedupe) inRuns(f fingerprint) (at int64, found bool, err error) {
	for _, r := range d.runs {
		if r.newest <= d.horizon() || !r.filter.maybe(f) {
			continue
		}
		if at, found, err = r.find(f, &d.buf); err != nil || found {
			return at, found, err
		}
	}
	return 0, false, nil
}

// makeRoom lets the table grow, or empties it into a run once it has its
// share.
func (d *dedupe) makeRoom() error {
	if d.recent.forget(d.horizon()) {
		return nil
	}
	if d.recent.used < d.recentLimit() {
		d.recent.grow()
		return nil
	}
	if err := d.spill(); err != nil {
		return err
	}
	return d.tidy()
}

// recentLimit is how many fingerprints stay in the table: with its empty slots
// and the scratch of spill that is half of the share; filters have the rest.
func (d *dedupe) recentLimit() int {
	return int(max(d.share()/(4*entryBytes+entryBytes), minSlots)) / 2
}

// spill moves the table into a new run.
func (d *dedupe) spill() error {
	d.sorted = d.recent.appendTo(d.sorted[:0], d.horizon())
	slices.SortFunc(d.sorted, func(a, b storedAt) int { return a.compare(b.fingerprint) })
	w, err := newRunWriter(d.dir, len(d.sorted))
	if err != nil {
		return err
	}
	for _, e := range d.sorted {
		w.add(e)
	}
	r, err := w.close()
	if err != nil {
		return err
	}
	d.runs = slices.Insert(d.runs, 0, r)
	d.recent.clear()
	return nil
}

// tidy drops runs that are past the horizon, takes over a merge that has
// ended, starts the next one, and holds the filters to their share.
func (d *dedupe) tidy() error {
	if d.merge != nil && d.merge.ended() {
		if err := d.takeMerge(); err != nil {
			return err
		}
	}
	if d.merge == nil {
		if err := d.dropOld(); err != nil {
			return err
		}
		if from, to := mergeable(d.runs); to > from {
			d.merge = startMerge(d.dir, slices.Clone(d.runs[from:to]), d.horizon())
		}
	}
	fold(d.runs, d.share()/2)
	return nil
}

// dropOld gives up the runs that are past the horizon.
func (d *dedupe) dropOld() error {
	var errs []error
	d.runs = slices.DeleteFunc(d.runs, func(r *run) bool {
		if r.newest > d.horizon() {
			return false
		}
		errs = append(errs, r.close())
		return true
	})
	return errors.Join(errs...)
}

// takeMerge puts the result of the merge in the place of its inputs, which
// still lie side by side: new runs are only ever put in front.
func (d *dedupe) takeMerge() error {
	m := d.merge
	d.merge = nil
	made, err := m.wait()
	if err != nil {
		return err
	}
	first := slices.Index(d.runs, m.inputs[0])
	d.runs = slices.Replace(d.runs, first, first+len(m.inputs), made)
	return closeAll(m.inputs)
}

func closeAll(runs []*run) error {
	var errs []error
	for _, r := range runs {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// close gives up memory and disk.
func (d *dedupe) close() error {
	var errs []error
	if d.merge != nil {
		d.merge.stop()
		made, err := d.merge.wait()
		if made != nil {
			errs = append(errs, made.close())
		}
		if !errors.Is(err, errMergeStopped) {
			errs = append(errs, err)
		}
		d.merge = nil
	}
	errs = append(errs, closeAll(d.runs))
	d.runs, d.recent = nil, table{}
	return errors.Join(errs...)
}

func (f fingerprint) compare(g fingerprint) int {
	switch {
	case f.hi < g.hi, f.hi == g.hi && f.lo < g.lo:
		return -1
	case f == g:
		return 0
	}
	return 1
}
