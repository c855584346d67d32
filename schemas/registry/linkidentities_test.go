package registry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names makes the names of an item of `name=value` words.
func names(words ...string) map[string]string {
	all := map[string]string{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		all[name] = value
	}
	return all
}

// stored returns all identities of a product as `name=value` with their EUIDs.
func stored(t *testing.T, r *Registry, product int64) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, id := range must[[]Identity](t)(r.ListIdentities(t.Context(), product, 0)) {
		all[id.Name+"="+id.Value] = id.EUID
	}
	return all
}

func TestLinkIdentities(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		const a = int64(firstEUID)
		for _, step := range []struct {
			what  string
			items []ClientNames
			want  Linked
		}{
			{"a new client with two names", []ClientNames{{Names: names("ref_id=CB6150", "customer_id=2847")}}, Linked{[]int64{a}, 2, 1}},
			{"again", []ClientNames{{Names: names("ref_id=CB6150", "customer_id=2847")}}, Linked{[]int64{a}, 0, 0}},
			{"a third name", []ClientNames{{Names: names("ref_id=CB6150", "user_id=ann")}}, Linked{[]int64{a}, 1, 0}},
			{"a second value of one name", []ClientNames{{EUID: a, Names: names("ref_id=CB6151")}}, Linked{[]int64{a}, 1, 0}},
			{"an EUID of the partner's own", []ClientNames{{EUID: 77, Names: names("ref_id=R77")}}, Linked{[]int64{77}, 1, 0}},
			{"two new clients", []ClientNames{{Names: names("ref_id=x")}, {Names: names("ref_id=y")}}, Linked{[]int64{a + 1, a + 2}, 2, 2}},
			{"items that a third joins", []ClientNames{
				{Names: names("ref_id=p")}, {Names: names("customer_id=9")}, {Names: names("ref_id=p", "customer_id=9")},
			}, Linked{[]int64{a + 3, a + 3, a + 3}, 2, 1}},
			{"an item that has no EUID and one that has", []ClientNames{
				{Names: names("user_id=bob")}, {EUID: 78, Names: names("user_id=bob", "ref_id=R78")},
			}, Linked{[]int64{78, 78}, 2, 0}},
			{"no items", nil, Linked{[]int64{}, 0, 0}},
		} {
			got, err := r.LinkIdentities(ctx, 1001, step.items)
			if diff := cmp.Diff(step.want, got); diff != "" || err != nil {
				t.Errorf("%s: %v, -want +got\n%s", step.what, err, diff)
			}
		}
		want := map[string]int64{
			"ref_id=CB6150": a, "customer_id=2847": a, "user_id=ann": a, "ref_id=CB6151": a, "ref_id=R77": 77, "ref_id=x": a + 1,
			"ref_id=y": a + 2, "ref_id=p": a + 3, "customer_id=9": a + 3, "user_id=bob": 78, "ref_id=R78": 78,
		}
		if diff := cmp.Diff(want, stored(t, r, 1001)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if got := stored(t, r, 2001); len(got) != 0 {
			t.Errorf("the other product has %v", got)
		}
		if next := must[[]int64](t)(r.RegisterIdentities(ctx, 1001, "user_id", []string{"cid"}))[0]; next != a+4 {
			t.Errorf("the next client is %d, want %d", next, a+4)
		}
	})
}

func TestLinkIdentitiesRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		const a = int64(firstEUID)
		fine := ClientNames{Names: names("ref_id=fine")}
		must[Linked](t)(r.LinkIdentities(ctx, 1001, []ClientNames{{Names: names("ref_id=1")}, {Names: names("ref_id=2", "customer_id=2")}}))
		before := stored(t, r, 1001)

		for what, c := range map[string]struct {
			items []ClientNames
			want  []NameConflict
		}{
			"names of two clients":     {[]ClientNames{fine, {Names: names("ref_id=1", "customer_id=2")}}, []NameConflict{{1, "customer_id", "2", a + 1, a}}},
			"names of another client":  {[]ClientNames{{EUID: 5, Names: names("ref_id=2", "customer_id=2", "user_id=new")}}, []NameConflict{{0, "ref_id", "2", a + 1, 5}, {0, "customer_id", "2", a + 1, 5}}},
			"joined by a third item":   {[]ClientNames{{Names: names("ref_id=1", "user_id=u")}, fine, {Names: names("ref_id=2", "user_id=u")}}, []NameConflict{{2, "ref_id", "2", a + 1, a}}},
			"an EUID and its own name": {[]ClientNames{{EUID: a, Names: names("ref_id=1")}, {EUID: a, Names: names("ref_id=2")}}, []NameConflict{{1, "ref_id", "2", a + 1, a}}},
		} {
			_, err := r.LinkIdentities(ctx, 1001, c.items)
			conflict, ok := errors.AsType[*ConflictError](err)
			if !ok || !errors.Is(err, ErrExists) {
				t.Errorf("%s: %v, want a conflict", what, err)
				continue
			}
			if diff := cmp.Diff(c.want, conflict.Conflicts); diff != "" {
				t.Errorf("%s: -want +got\n%s", what, diff)
			}
		}
		for what, c := range map[string]struct {
			items []ClientNames
			index int
		}{
			"two EUIDs for one name":  {[]ClientNames{fine, {EUID: 5, Names: names("ref_id=new")}, {EUID: 6, Names: names("ref_id=new")}}, 2},
			"two EUIDs by a chain":    {[]ClientNames{{EUID: 5, Names: names("ref_id=n")}, {Names: names("ref_id=n", "user_id=m")}, {EUID: 6, Names: names("user_id=m")}}, 2},
			"not allocated yet":       {[]ClientNames{fine, {EUID: a + 2, Names: names("ref_id=new")}}, 1},
			"not allocated, the last": {[]ClientNames{{EUID: endEUID - 1, Names: names("ref_id=new")}}, 0},
			"negative":                {[]ClientNames{{EUID: -1, Names: names("ref_id=new")}}, 0},
		} {
			_, err := r.LinkIdentities(ctx, 1001, c.items)
			refused, ok := errors.AsType[*LinkError](err)
			if !ok || !errors.Is(err, ErrInvalid) || refused.Index != c.index || refused.Field != "euid" {
				t.Errorf("%s: %v, want element %d to be refused", what, err, c.index)
			}
		}
		for _, bad := range []ClientNames{{Names: names("nick=x")}, {Names: names("ref_id=")}, {Names: names("ref_id=a\x00")}} {
			_, err := r.LinkIdentities(ctx, 1001, []ClientNames{fine, bad})
			wantErr(t, fmt.Sprint(bad), err, ErrInvalid)
		}
		_, err := r.LinkIdentities(ctx, 3001, []ClientNames{fine})
		wantErr(t, "an unknown product", err, ErrNotFound)
		if diff := cmp.Diff(before, stored(t, r, 1001)); diff != "" {
			t.Errorf("what was refused has changed something: -before +after\n%s", diff)
		}
		if got := must[Linked](t)(r.LinkIdentities(ctx, 1001, []ClientNames{fine})); got.EUIDs[0] != a+2 {
			t.Errorf("the next client is %d, want %d", got.EUIDs[0], a+2)
		}
	})
}

// TestLinkIdentitiesConcurrently lets many callers link and register random names
// at once. In whatever order their calls took effect, each name has one client
// from its first answer on, a success gives all names of an item one client, and
// a conflict names two clients, of which the first has the name.
func TestLinkIdentitiesConcurrently(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		here, there := db.open(t), db.open(t)
		account(t, here, 1001)
		var mu sync.Mutex
		owner := map[string]int64{}
		claim := func(name, value string, euid int64) {
			mu.Lock()
			defer mu.Unlock()
			id := name + "=" + value
			if was, ok := owner[id]; ok && was != euid {
				t.Errorf("%s is of client %d and of client %d", id, was, euid)
			}
			owner[id] = euid
		}
		var succeeded, conflicts int
		var wg sync.WaitGroup
		for caller := range 8 {
			wg.Go(func() {
				r, random := []*Registry{here, there}[caller%2], rand.New(rand.NewPCG(uint64(caller), 1))
				for range 30 {
					items := make([]ClientNames, 1+random.IntN(3))
					for i := range items {
						items[i].Names = names(fmt.Sprint("ref_id=", random.IntN(25)), fmt.Sprint("customer_id=", random.IntN(25)))
					}
					linked, err := r.LinkIdentities(t.Context(), 1001, items)
					conflict, refused := errors.AsType[*ConflictError](err)
					if err != nil && !refused {
						t.Error(err)
						return
					}
					mu.Lock()
					if refused {
						conflicts++
					} else {
						succeeded++
					}
					mu.Unlock()
					for i := range linked.EUIDs {
						for name, value := range items[i].Names {
							claim(name, value, linked.EUIDs[i])
						}
					}
					if !refused {
						continue
					}
					for _, c := range conflict.Conflicts {
						claim(c.Name, c.Value, c.EUID)
						if c.EUID == c.OtherClient || items[c.Index].Names[c.Name] != c.Value {
							t.Errorf("conflict %+v of %v", c, items)
						}
					}
				}
			})
		}
		wg.Go(func() {
			for i := range 25 {
				euids, err := here.RegisterIdentities(t.Context(), 1001, "ref_id", []string{fmt.Sprint(i)})
				if err != nil {
					t.Error(err)
					return
				}
				claim("ref_id", fmt.Sprint(i), euids[0])
			}
		})
		wg.Wait()
		if succeeded == 0 || conflicts == 0 {
			t.Errorf("%d calls succeeded and %d conflicted, want some of both", succeeded, conflicts)
		}
		for id, euid := range stored(t, here, 1001) {
			if owner[id] != euid {
				t.Errorf("%s is stored as client %d and was answered as %d", id, euid, owner[id])
			}
			delete(owner, id)
		}
		if len(owner) > 0 {
			t.Errorf("answered, but not stored: %v", owner)
		}
	})
}
