package registry

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegisterIdentities(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		register := func(product int64, name string, values ...string) []int64 {
			t.Helper()
			return must[[]int64](t)(r.RegisterIdentities(ctx, product, name, values))
		}
		first := register(1001, "user_id", "ann", "bob", "ann")
		if first[0] != first[2] || first[0] == first[1] {
			t.Errorf("ann bob ann = %v, want a b a", first)
		}
		for _, euid := range first {
			if euid < 1<<52 || euid >= 1<<53 {
				t.Errorf("EUID %d is outside the allocated range", euid)
			}
		}
		again := register(1001, "user_id", "cid", "bob", "ann")
		if again[1] != first[1] || again[2] != first[0] || slices.Contains(first, again[0]) {
			t.Errorf("cid bob ann = %v after %v", again, first)
		}
		if other := register(1001, "anonymous_id", "ann"); slices.Contains(again, other[0]) {
			t.Errorf("the same value under another name is the same client")
		}
		if got := register(1001, "user_id"); len(got) != 0 {
			t.Errorf("no values = %v", got)
		}
		if got := register(2001, "user_id", "ann"); got[0] != firstEUID {
			t.Errorf("the first client of another product is %d, want %d", got[0], firstEUID)
		}
		odd := []string{"Ann", " ann", "ann ", "äöü", "😀", "'; DROP TABLE identities; --", strings.Repeat("é", 256)}
		got := register(1001, "user_id", odd...)
		if distinct := slices.Compact(slices.Sorted(slices.Values(got))); len(distinct) != len(odd) {
			t.Errorf("%d clients for %d distinct values", len(distinct), len(odd))
		}

		for _, bad := range []struct{ name, value string }{
			{"nickname", "ann"}, {"user_id", ""}, {"user_id", strings.Repeat("é", 257)}, {"user_id", "a\x00"}, {"user_id", "\xff"},
		} {
			_, err := r.RegisterIdentities(ctx, 1001, bad.name, []string{"fine", bad.value})
			wantErr(t, fmt.Sprintf("%q", bad), err, ErrInvalid)
		}
		_, err := r.ResolveIdentity(ctx, 1001, "user_id", "fine")
		wantErr(t, "a valid value beside an invalid one", err, ErrNotFound)
		_, err = r.RegisterIdentities(ctx, 3001, "user_id", []string{"ann"})
		wantErr(t, "an unknown product", err, ErrNotFound)
	})
}

func TestRegisterIdentitiesConcurrently(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		here, there := db.open(t), db.open(t)
		account(t, here, 1001)
		const callers, clients = 8, 1200
		answers := make([]map[string]int64, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				r := []*Registry{here, there}[i%2]
				values := make([]string, clients)
				for j := range values {
					values[j] = fmt.Sprint("client ", (j*7+i*100)%clients)
				}
				answers[i] = map[string]int64{}
				for part := range slices.Chunk(values, 600) {
					euids, err := r.RegisterIdentities(t.Context(), 1001, "user_id", part)
					if err != nil {
						t.Error(err)
						return
					}
					for j, v := range part {
						answers[i][v] = euids[j]
					}
				}
			})
		}
		wg.Wait()
		owner := map[int64]string{}
		for i, answer := range answers {
			if diff := cmp.Diff(answers[0], answer); diff != "" {
				t.Fatalf("caller %d got other EUIDs: -first +it\n%s", i, diff)
			}
			for v, euid := range answer {
				if was, ok := owner[euid]; ok && was != v {
					t.Fatalf("EUID %d is both %q and %q", euid, was, v)
				}
				owner[euid] = v
			}
		}
		if len(owner) != clients {
			t.Errorf("%d clients, want %d", len(owner), clients)
		}
	})
}

func TestLinkIdentity(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		ann := must[[]int64](t)(r.RegisterIdentities(ctx, 1001, "user_id", []string{"ann"}))[0]
		link := func(name, value string, euid int64) error {
			return r.LinkIdentity(ctx, Identity{Product: 1001, Name: name, Value: value, EUID: euid})
		}
		check := func(name, value string, want int64) {
			t.Helper()
			got, err := r.ResolveIdentity(ctx, 1001, name, value)
			if err != nil || got != want {
				t.Errorf("resolve %s %s = %d, %v; want %d", name, value, got, err, want)
			}
		}
		for _, err := range []error{
			link("ref_id", "R-1", ann), link("ref_id", "R-2", 1<<60), link("ref_id", "R-2", 77), link("user_id", "ann", 78),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		check("ref_id", "R-1", ann)
		check("ref_id", "R-2", 77)
		check("user_id", "ann", 78)

		wantErr(t, "an EUID not allocated yet", link("ref_id", "R-3", ann+1), ErrInvalid)
		wantErr(t, "zero", link("ref_id", "R-3", 0), ErrInvalid)
		wantErr(t, "another name", link("nick", "R-3", 5), ErrInvalid)
		wantErr(t, "unknown product", r.LinkIdentity(ctx, Identity{Product: 9, Name: "ref_id", Value: "x", EUID: 5}), ErrNotFound)
		if next := must[[]int64](t)(r.RegisterIdentities(ctx, 1001, "user_id", []string{"bob"}))[0]; next != ann+1 {
			t.Errorf("LinkIdentity advanced the counter: next client is %d, want %d", next, ann+1)
		}

		var names []string
		for _, id := range must[[]Identity](t)(r.ListIdentities(ctx, 1001, 0)) {
			names = append(names, fmt.Sprint(id.Name, " ", id.Value))
		}
		if want := []string{"ref_id R-2", "user_id ann", "ref_id R-1", "user_id bob"}; !slices.Equal(names, want) {
			t.Errorf("identities = %q, want %q", names, want)
		}
		if got := must[[]Identity](t)(r.ListIdentities(ctx, 1001, ann)); len(got) != 1 || got[0].Value != "R-1" {
			t.Errorf("identities of ann = %+v, want R-1", got)
		}
		if err := r.UnlinkIdentity(ctx, Identity{Product: 1001, Name: "ref_id", Value: "R-1"}); err != nil {
			t.Fatal(err)
		}
		_, err := r.ResolveIdentity(ctx, 1001, "ref_id", "R-1")
		wantErr(t, "unlinked", err, ErrNotFound)
		_, err = r.ResolveIdentity(ctx, 1001, "ref_id", "a\x00")
		wantErr(t, "a value that cannot be stored", err, ErrNotFound)
	})
}

func TestIdentitiesRunOut(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		if _, err := r.db.ExecContext(ctx, `UPDATE products SET next_client = $1`, int64(endEUID-1)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.RegisterIdentities(ctx, 1001, "user_id", []string{"a", "b"}); err == nil {
			t.Error("allocated more EUIDs than there are")
		}
		got := must[[]int64](t)(r.RegisterIdentities(ctx, 1001, "user_id", []string{"a"}))
		if got[0] != endEUID-1 {
			t.Errorf("the last number = %d, want %d", got[0], endEUID-1)
		}
	})
}
