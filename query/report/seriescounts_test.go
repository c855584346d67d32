package report

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/query/cost"
)

// TestGroupsCountAsEachUnitByItself counts units in random series of three levels,
// some of which the question names and some of which are found, and compares with
// a count of each unit by itself: with series in sequence and, where the limit
// is low, without.
func TestGroupsCountAsEachUnitByItself(t *testing.T) {
	const buckets, named = 3, 5
	for _, limit := range []int64{100_000, 3} {
		r := rand.New(rand.NewPCG(1, 2))
		levels := make([]level, maxLevels)
		for i := range levels {
			levels[i] = level{keys: &levelKeys{numbers: map[seriesKey]int32{}}, named: named}
			for n := range named {
				levels[i].key(fmt.Sprint(n), n)
			}
		}
		q := &base{days: Range{Buckets: make([]Bucket, buckets)}}
		q.params.Cost = cost.Limits{Series: limit}.Question()
		c, g := newSeriesCounts(q, levels, 1), &unitGroup{is: make([][statuses]uint64, buckets)}
		c.charged = -1_000_000 // never full
		want := map[string]int64{}
		for range 1000 {
			bucket, s := r.IntN(buckets), status(r.IntN(int(statuses)))
			g.mark(bucket, s)
			paths := []string{fmt.Sprint(bucket, s)}
			want[paths[0]]++
			for depth := range levels {
				var keys []seriesKey
				var within []string
				for n := range 2 * named {
					if r.IntN(3) > 0 {
						continue
					}
					key := levels[depth].key(fmt.Sprint(n), n)
					keys = append(keys, key)
					for _, path := range paths {
						within = append(within, path+"/"+key.label)
						want[path+"/"+key.label]++
					}
				}
				g.series(depth, keys)
				paths = within
			}
			if g.units++; g.units == 64 {
				c.addGroup(t.Context(), g)
			}
		}
		c.addGroup(t.Context(), g)
		got := map[string]int64{}
		for bucket := range buckets {
			for s := range statuses {
				countsOf(c, c.tree(new(pace)), bucket, s, fmt.Sprint(bucket, s), got)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("limit %d: %d counts, want %d", limit, len(got), len(want))
		}
	}
}

// countsOf notes the counts of a series and of those within it that are not 0.
func countsOf(c *seriesCounts, n *seriesNode, bucket int, s status, path string, to map[string]int64) {
	for _, id := range n.ids {
		if count := c.count(id, bucket, s); count > 0 {
			to[path] += count
		}
	}
	for _, label := range slices.Sorted(maps.Keys(n.children)) {
		countsOf(c, n.children[label], bucket, s, path+"/"+label, to)
	}
}
