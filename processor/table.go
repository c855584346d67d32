package processor

const (
	entryBytes = 24   // of a storedAt, in memory and on disk
	minSlots   = 1024 // of a table that has any
)

// table holds fingerprints in open addressing: one flat slice, linear probing,
// at most half full. The zero value is empty.
type table struct {
	slots []storedAt // a power of two of them; a zero fingerprint marks an empty one
	used  int
}

func (t *table) full() bool { return 2*t.used >= len(t.slots) }

func (t *table) find(f fingerprint) (at int64, found bool) {
	if t.used == 0 {
		return 0, false
	}
	e := t.slot(f)
	return e.at, e.fingerprint == f
}

// put remembers f, at the later of two times. The table must not be full.
func (t *table) put(f fingerprint, at int64) {
	e := t.slot(f)
	if e.fingerprint != f {
		*e = storedAt{fingerprint: f, at: at}
		t.used++
		return
	}
	e.at = max(e.at, at)
}

// slot is where f is, or where it goes.
func (t *table) slot(f fingerprint) *storedAt {
	mask := uint64(len(t.slots) - 1)
	for i := f.lo & mask; ; i = (i + 1) & mask {
		e := &t.slots[i]
		if e.fingerprint == f || e.fingerprint == (fingerprint{}) {
			return e
		}
	}
}

// forget drops what was stored at or before horizon, if that is enough to make
// room, and says whether it has.
func (t *table) forget(horizon int64) bool {
	live := 0
	for i := range t.slots {
		if t.slots[i].live(horizon) {
			live++
		}
	}
	if t.used == 0 || 2*live > t.used {
		return false
	}
	t.rebuild(len(t.slots), horizon)
	return true
}

func (t *table) grow() { t.rebuild(max(2*len(t.slots), minSlots), minTime) }

func (t *table) rebuild(slots int, horizon int64) {
	old := t.slots
	t.slots, t.used = make([]storedAt, slots), 0
	for _, e := range old {
		if e.live(horizon) {
			t.put(e.fingerprint, e.at)
		}
	}
}

// appendTo appends what was stored after horizon, in no order.
func (t *table) appendTo(dst []storedAt, horizon int64) []storedAt {
	for _, e := range t.slots {
		if e.live(horizon) {
			dst = append(dst, e)
		}
	}
	return dst
}

func (t *table) clear() {
	clear(t.slots)
	t.used = 0
}

const minTime = -1 << 63

func (e *storedAt) live(horizon int64) bool {
	return e.at > horizon && e.fingerprint != (fingerprint{})
}
