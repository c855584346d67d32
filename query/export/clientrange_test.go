package export

import (
	"math"
	"math/rand/v2"
	"testing"

	"weir/schemas/columns"
)

// TestHalvesCoverEachRowOnce divides random rows until each pass has those of one
// client at one millisecond.
func TestHalvesCoverEachRowOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	type row struct{ client, time int64 }
	var rows []row
	for range 200 {
		rows = append(rows, row{1 + rng.Int64N(20), rng.Int64N(41) - 20})
	}
	rows = append(rows, row{1, -columns.MaxTimeMS}, row{1, columns.MaxTimeMS}, row{math.MaxInt64, 0})
	covered, passes := map[row]int{}, 0
	var cover func(r clientRange, depth int)
	cover = func(r clientRange, depth int) {
		v := newClientValues(r, false, 0)
		distinct := map[row]bool{}
		for _, x := range rows {
			if r.has(x.client, x.time) {
				v.addRow(x.client, stamp{x.time, 0}, nil)
				distinct[x] = true
			}
		}
		if depth > 200 {
			t.Fatalf("%+v is divided without end", r)
		}
		if halves, ok := r.halves(v); ok && len(distinct) > 1 {
			cover(halves[0], depth+1)
			cover(halves[1], depth+1)
			return
		}
		passes++
		if len(distinct) > 1 {
			t.Errorf("%+v has %d rows and is not divided", r, len(distinct))
		}
		for x := range distinct {
			covered[x]++
		}
	}
	cover(everyClient(), 0)
	for _, x := range rows {
		if covered[x] != 1 {
			t.Errorf("%v is in %d passes of %d", x, covered[x], passes)
		}
	}
}
