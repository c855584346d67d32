package logins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
	"weir/schemas/registry"
)

// hashTime is what a hash takes in these tests.
const hashTime = 100 * time.Millisecond

// hashesAtOnce is what newWorld sets, whatever the machine.
const hashesAtOnce = 2

// world is a Guard over users whose password is "right NAME".
type world struct {
	*Guard
	t       *testing.T
	log     bytes.Buffer
	metrics *prometheus.Registry
	fault   error // of Check, in place of an answer

	mu     sync.Mutex
	hashes int // that were computed
	most   int // at once
	now    int
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{t: t, metrics: prometheus.NewRegistry()}
	cfg.Hashes = hashesAtOnce
	g, err := New(cfg, Deps{
		Check: w.check, Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Metrics: w.metrics,
		DeviceKey: func(context.Context) (string, error) { return "a key", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Guard = g
	return w
}

func (w *world) check(_ context.Context, name, password string) (registry.Principal, error) {
	w.mu.Lock()
	w.hashes, w.now = w.hashes+1, w.now+1
	w.most = max(w.most, w.now)
	w.mu.Unlock()
	time.Sleep(hashTime)
	w.mu.Lock()
	w.now--
	w.mu.Unlock()
	switch {
	case w.fault != nil:
		return registry.Principal{}, w.fault
	case password != "right "+name:
		return registry.Principal{}, registry.ErrUnauthorized
	}
	return registry.Principal{User: name}, nil
}

// try returns the status that a login is answered.
func (w *world) try(a Attempt) int {
	_, err := w.Authenticate(w.t.Context(), a)
	if refused, ok := errors.AsType[*schemas.RequestError](err); ok {
		if refused.RetryAfter == 0 {
			w.t.Errorf("%v without Retry-After", err)
		}
		return refused.Status
	}
	switch {
	case errors.Is(err, registry.ErrUnauthorized):
		return http.StatusUnauthorized
	case err != nil:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

func at(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func guess(name string, from int) Attempt {
	return Attempt{Name: name, Password: "guess", From: at(from)}
}

func right(name string, from int) Attempt {
	return Attempt{Name: name, Password: "right " + name, From: at(from)}
}

// want tries a and wants a status.
func (w *world) want(what string, a Attempt, status int) {
	w.t.Helper()
	if got := w.try(a); got != status {
		w.t.Errorf("%s: %d, want %d", what, got, status)
	}
}

// device returns the cookie of a login of name.
func (w *world) device(name string) string {
	w.t.Helper()
	cookie, err := w.Device(w.t.Context(), name, "")
	if err != nil || cookie == "" {
		w.t.Fatalf("cookie %q, %v", cookie, err)
	}
	return cookie
}

// parallel tries all at once and returns how many had each status.
func (w *world) parallel(all []Attempt) map[int]int {
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for _, a := range all {
		wg.Go(func() {
			status := w.try(a)
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	wg.Wait()
	return got
}

// TestParallelGuessesAreTen: guesses are spent before their hash, so a hundred at
// once are no more than ten one after the other, and the right one among the last
// does not get in. Meanwhile a neighbour waits for the hashes that run, not for the guesses.
func TestParallelGuessesAreTen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		var all []Attempt
		for range 60 {
			all = append(all, guess("ann@example.org", 1))
		}
		done := make(chan map[int]int, 1)
		go func() { done <- w.parallel(all) }()
		synctest.Wait()
		start := time.Now()
		w.want("a neighbour", right("bob@example.org", 2), http.StatusOK)
		if waited := time.Since(start); waited > 2*hashTime {
			t.Errorf("a neighbour waited %s behind guesses, a hash takes %s", waited, hashTime)
		}
		got := <-done
		if got[http.StatusUnauthorized] != 10 || got[http.StatusTooManyRequests] != 50 {
			t.Errorf("60 guesses at once: %v, want 10 checked and 50 refused", got)
		}
		w.want("the right one", right("ann@example.org", 1), http.StatusTooManyRequests)
		if w.most > hashesAtOnce {
			t.Errorf("%d hashes at once", w.most)
		}
		time.Sleep(refill)
		w.want("the right one after one refill", right("ann@example.org", 1), http.StatusOK)
		for i := range 10 {
			w.want(fmt.Sprintf("guess %d after a success", i), guess("ann@example.org", 1), map[bool]int{true: 401, false: 429}[i < 1])
		}
	})
}

// TestGuessesFromManyAddresses: a name is guessed at no faster from many addresses,
// and stays open to those it logged in from and to its devices.
func TestGuessesFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		const name = "ann@example.org"
		w.want("login from home", right(name, 1), http.StatusOK)
		cookie := w.device(name)
		got := map[int]int{}
		for from := range 80 {
			got[w.try(guess(name, 100+from))]++
		}
		if got[http.StatusUnauthorized] != 50 || got[http.StatusTooManyRequests] != 30 {
			t.Errorf("80 guesses from as many addresses: %v, want 50 checked", got)
		}
		w.want("from a new address", right(name, 2), http.StatusTooManyRequests)
		w.want("from home", right(name, 1), http.StatusOK)
		travelling := right(name, 3)
		travelling.Device = cookie
		w.want("from a new address with the device's cookie", travelling, http.StatusOK)
		w.want("another name", right("bob@example.org", 100), http.StatusOK)
		time.Sleep(refill)
		w.want("from a new address after one refill", right(name, 4), http.StatusOK)
	})
}

// TestGuessesFromAHome: also who guesses from the very address of a user does not
// lock out the device that has its cookie.
func TestGuessesFromAHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		const name = "ann@example.org"
		w.want("login", right(name, 1), http.StatusOK)
		cookie := w.device(name)
		time.Sleep(2 * rightFor)
		for range 20 {
			w.try(guess(name, 1))
		}
		w.want("without the cookie", right(name, 1), http.StatusTooManyRequests)
		own := right(name, 1)
		own.Device = cookie
		w.want("with the cookie", own, http.StatusOK)
		stolen := guess(name, 9)
		stolen.Device = cookie
		for range 10 {
			w.want("guess with a cookie", stolen, http.StatusUnauthorized)
		}
		w.want("more guesses with a cookie", stolen, http.StatusTooManyRequests)
	})
}

// TestGuessesAtManyNames: an address does not try one password at all names, and
// who logged in from it before still does.
func TestGuessesAtManyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.want("login", right("ann@example.org", 1), http.StatusOK)
		var checked int
		for n := range 300 {
			if w.try(guess(fmt.Sprint(n, "@example.org"), 1)) == http.StatusUnauthorized {
				checked++
			}
		}
		// While 100 guesses are hashed one after the other, one comes back for each 6 s.
		if spent := 100 + int(100*hashTime/refillAddress); checked != spent {
			t.Errorf("%d guesses were checked, want %d", checked, spent)
		}
		w.want("who is new there", right("new@example.org", 1), http.StatusTooManyRequests)
		w.want("who logged in there before", right("ann@example.org", 1), http.StatusOK)
		w.want("who is new elsewhere", right("new@example.org", 2), http.StatusOK)
		time.Sleep(refillAddress)
		w.want("who is new there, later", right("late@example.org", 1), http.StatusOK)
	})
}

// TestAThousandBehindOneAddress log in at once. Who is told to come again does.
func TestAThousandBehindOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		var mu sync.Mutex
		got := map[int]int{}
		var wg sync.WaitGroup
		for n := range 1000 {
			wg.Go(func() {
				for range 100 {
					status := w.try(right(fmt.Sprint(n, "@example.org"), 1))
					mu.Lock()
					got[status]++
					mu.Unlock()
					if status == http.StatusOK {
						return
					}
					time.Sleep(retryBusy * time.Second)
				}
			})
		}
		wg.Wait()
		if got[http.StatusOK] != 1000 || got[http.StatusTooManyRequests] != 0 {
			t.Errorf("a thousand people: %v, want 1000 logins and no 429", got)
		}
		if w.most > hashesAtOnce {
			t.Errorf("%d hashes at once", w.most)
		}
	})
}

// TestWaitsAreBounded: who waits too long is told so, who finds too many waiting is
// told at once, and all is as before when the hashes are done.
func TestWaitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Waiting: 8, Wait: 250 * time.Millisecond})
		var all []Attempt
		for n := range 20 {
			all = append(all, right(fmt.Sprint(n, "@example.org"), n))
		}
		start := time.Now()
		got := w.parallel(all)
		// Two hashes begin at once, two each at 100 and 200 ms; two wait in vain, and
		// twelve found eight before them (two of those in their hash).
		if got[http.StatusOK] != 6 || got[http.StatusServiceUnavailable] != 14 {
			t.Errorf("20 logins at once: %v", got)
		}
		if took := time.Since(start); took > 300*time.Millisecond {
			t.Errorf("answered after %s", took)
		}
		if w.gate.length() != 0 || len(w.gate.inUse) != 0 || w.gate.free != hashesAtOnce {
			t.Errorf("the gate is not empty: %+v", w.gate)
		}
		w.want("later", right("19@example.org", 19), http.StatusOK)

		var crowd []Attempt
		for n := range 20 {
			crowd = append(crowd, right(fmt.Sprint("crowd", n, "@example.org"), 99))
		}
		done := make(chan map[int]int, 1)
		go func() { done <- w.parallel(crowd) }()
		synctest.Wait()
		w.want("who is alone at an address behind a crowd at another", right("alone@example.org", 98), http.StatusOK)
		<-done

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.gate.free = 0
		if _, err := w.Authenticate(ctx, right("gone@example.org", 5)); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that has gone: %v", err)
		}
	})
}

// TestWhoIsNext: known places go first, then who has least before it, then who came first.
func TestWhoIsNext(t *testing.T) {
	g := &gate{wait: time.Hour, waiting: 100, perAddr: 100}
	come := func(name byte, addr int, known bool) *place {
		p := &place{name: hash{name}, addr: at(addr), known: known}
		if done, err := g.join(p); done || err != nil {
			t.Fatalf("join: %v, %v", done, err)
		}
		return p
	}
	first, second, third := come(1, 1, false), come(1, 1, false), come(2, 1, false)
	other, late, known := come(3, 2, false), come(4, 3, false), come(5, 1, true)
	for i, want := range []*place{known, first, other, late, third, second} {
		g.release(&place{})
		select {
		case <-want.ready:
		default:
			t.Fatalf("turn %d was not that of %+v; queue %+v", i, want, g.queue)
		}
	}
}

// TestRightPasswordsAreNotHashedAgain for a while, from the same address alone: who
// guesses elsewhere must not learn at the speed of a map which guess was right.
func TestRightPasswordsAreNotHashedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		const name = "ann@example.org"
		upper := right(name, 1)
		upper.Name = " ANN@example.org"
		got := w.parallel([]Attempt{right(name, 1), right(name, 1), upper, right(name, 1), right(name, 1)})
		if got[http.StatusOK] != 5 || w.hashes != 2 { // two begin at the same moment
			t.Errorf("%v with %d hashes", got, w.hashes)
		}
		for range 50 {
			w.try(guess(name, 2))
		}
		w.want("right from an address that guessed", right(name, 2), http.StatusTooManyRequests)
		time.Sleep(rightFor + time.Second)
		before := w.hashes
		w.want("right later", right(name, 1), http.StatusOK)
		if w.hashes != before+1 {
			t.Errorf("%d hashes, want %d", w.hashes, before+1)
		}
	})
}

// TestFaultsAreNoGuesses: an error of the database spends nothing.
func TestFaultsAreNoGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.fault = errors.New("database is gone")
		for range 30 {
			w.want("with the database gone", right("ann@example.org", 1), http.StatusInternalServerError)
		}
		w.fault = nil
		w.want("afterwards", right("ann@example.org", 1), http.StatusOK)
		if n := len(w.byPlace.whole.byKey) + len(w.byName.whole.byKey) + len(w.byAddress.whole.byKey); n != 0 {
			t.Errorf("%d budgets are not whole", n)
		}
	})
}

// TestMemoryIsBounded: whatever is remembered has a limit, and a key whose tries
// are back is forgotten.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTries(3, time.Second, 100)
		for i := range 1000 {
			tr.spend(hash{byte(i), byte(i >> 8)})
		}
		if n := len(tr.whole.byKey); n != 100 || tr.whole.order.Len() != 100 {
			t.Errorf("%d keys and %d in order, want 100", n, tr.whole.order.Len())
		}
		tr.giveBack(hash{0xe7, 3}) // 999
		if n := len(tr.whole.byKey); n != 99 {
			t.Errorf("%d keys after one was given back, want 99", n)
		}
		w := newWorld(t, Config{})
		for from := range 30 {
			w.want("login", right("ann@example.org", from), http.StatusOK)
		}
		if all, _ := w.known.get(w.hash("name", "ann@example.org")); len(all) != knownAddrs || all[0].addr != at(29) {
			t.Errorf("addresses %v, want the last %d", all, knownAddrs)
		}
		for _, n := range []int{w.byPlace.whole.most, w.byName.whole.most, w.byAddress.whole.most, w.byKnown.whole.most, w.known.most} {
			if n != maxKeys {
				t.Errorf("a map of up to %d", n)
			}
		}
	})
}

// TestFailuresAreTold in the log, without what was typed as the password, and in metrics.
func TestFailuresAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.try(guess("ann@example.org", 1))
		w.try(Attempt{Name: "my secret", Password: "ann@example.org", From: at(1)})
		w.want("login", right("bob@example.org", 1), http.StatusOK)
		for range 11 {
			w.try(guess("carl@example.org", 7))
		}
		log := w.log.String()
		if strings.Contains(log, "guess") || strings.Contains(log, "my secret") || strings.Contains(log, "bob") ||
			!strings.Contains(log, `"user":"ann@example.org","from":"10.0.0.1"`) || !strings.Contains(log, `"user":"no email"`) {
			t.Errorf("log:\n%s", log)
		}
		families, err := w.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					got[l.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		if got["right"] != 1 || got["wrong"] != 12 || got["throttled"] != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

func TestDeviceCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := newWorld(t, Config{}), t.Context()
		const name = "ann@example.org"
		cookie := w.device(name)
		check := func(what, cookie, name string, want bool) {
			t.Helper()
			if _, ok := w.devices.check(ctx, cookie, name); ok != want {
				t.Errorf("%s: known %v", what, ok)
			}
		}
		check("its own", cookie, name, true)
		check("of another name", cookie, "bob@example.org", false)
		check("none", "", name, false)
		check("cut", cookie[:len(cookie)-1], name, false)
		for i := range cookie {
			forged := []byte(cookie)
			forged[i] ^= 1
			check("forged", string(forged), name, false)
		}
		other := devices{load: func(context.Context) (string, error) { return "another key", nil }}
		if _, ok := other.check(ctx, cookie, name); ok {
			t.Error("the cookie of another key is known")
		}
		gone := devices{load: func(context.Context) (string, error) { return "", errors.New("no database") }}
		if _, ok := gone.check(ctx, cookie, name); ok {
			t.Error("known without a key")
		}
		if renewed, err := w.Device(ctx, " ANN@example.org", cookie); renewed != "" || err != nil {
			t.Errorf("a new cookie was replaced by %q, %v", renewed, err)
		}
		time.Sleep(deviceRenewal + time.Hour)
		check("a month later", cookie, name, true)
		if renewed, err := w.Device(ctx, name, cookie); renewed == "" || err != nil {
			t.Errorf("a cookie of %s was not replaced: %v", deviceRenewal, err)
		}
		time.Sleep(DeviceAge)
		check("too old", cookie, name, false)
	})
}

// FuzzDevice: no text but those that were made is a device.
func FuzzDevice(f *testing.F) {
	d := devices{load: func(context.Context) (string, error) { return "a key", nil }}
	made, err := d.issue(f.Context(), "ann@example.org")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made, "bob@example.org")
	f.Add(strings.Repeat("A", len(made)), "")
	f.Fuzz(func(t *testing.T, cookie, name string) {
		if _, ok := d.check(t.Context(), cookie, name); ok && (cookie != made || name != "ann@example.org") {
			t.Errorf("%q is known as a device of %q", cookie, name)
		}
	})
}
