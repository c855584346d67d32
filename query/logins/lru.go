package logins

import "container/list"

// lru is a map of at most most entries; the one that was used longest ago goes first.
type lru[K comparable, V any] struct {
	most  int
	byKey map[K]*list.Element
	order *list.List // of *pair, the last used in front
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{most: most, byKey: map[K]*list.Element{}, order: list.New()}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	e, ok := l.byKey[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*pair[K, V]).value, true //nolint:errcheck // put stores nothing else
}

func (l *lru[K, V]) put(key K, value V) {
	if e, ok := l.byKey[key]; ok {
		e.Value.(*pair[K, V]).value = value //nolint:errcheck // as in get
		l.order.MoveToFront(e)
		return
	}
	if l.order.Len() >= l.most {
		l.remove(l.order.Back().Value.(*pair[K, V]).key) //nolint:errcheck // as in get
	}
	l.byKey[key] = l.order.PushFront(&pair[K, V]{key, value})
}

func (l *lru[K, V]) remove(key K) {
	if e, ok := l.byKey[key]; ok {
		l.order.Remove(e)
		delete(l.byKey, key)
	}
}
