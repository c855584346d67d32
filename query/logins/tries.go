package logins

import "time"

// tries gives each key burst tries, of which one comes back after each refill.
type tries struct {
	burst  int
	refill time.Duration
	whole  *lru[hash, time.Time] // when all tries of a key are back; a key that has all is not kept
}

func newTries(burst int, refill time.Duration, most int) *tries {
	return &tries{burst, refill, newLRU[hash, time.Time](most)}
}

// left reports whether key has a try.
func (t *tries) left(key hash) bool {
	whole, ok := t.whole.get(key)
	return !ok || time.Until(whole) <= time.Duration(t.burst-1)*t.refill
}

// spend takes one try of key, which has one left.
func (t *tries) spend(key hash) {
	whole, _ := t.whole.get(key)
	if now := time.Now(); whole.Before(now) {
		whole = now
	}
	t.whole.put(key, whole.Add(t.refill))
}

// giveBack undoes spend.
func (t *tries) giveBack(key hash) {
	whole, ok := t.whole.get(key)
	if !ok {
		return
	}
	if whole = whole.Add(-t.refill); whole.After(time.Now()) {
		t.whole.put(key, whole)
		return
	}
	t.whole.remove(key)
}
