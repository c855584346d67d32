package rollup

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEachStamp puts the groups together again and compares with ParseProperties.
func TestEachStamp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := []string{"null", "1.5", "true", `"3.0"`, `"}\"{"`, `"\\"`, `"ä [] ,"`, `{"a":["}",{}]}`, `[]`}
	for range 500 {
		var want Properties
		for n := range rng.IntN(6) {
			want = append(want, Property{
				Name: fmt.Sprintf("p\"%d", n), Value: values[rng.IntN(len(values))], Time: rng.Int64N(3) - 1, Offset: rng.Int64N(2),
			})
		}
		var got Properties
		err := EachStamp(string(want.AppendJSON(nil)), func(time, offset int64, values string) {
			for _, p := range ParseClientProperties(values) {
				p.Time, p.Offset = time, offset
				got = append(got, p)
			}
		})
		slices.SortFunc(got, compareNames)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%s: %v, (-want +got):\n%s", want.AppendJSON(nil), err, diff)
		}
	}
}

func TestEachStampRefusesDamage(t *testing.T) {
	whole := string(Properties{{Name: "a", Value: `"b"`, Time: 1, Offset: 2}, {Name: "c", Value: "3", Time: 4, Offset: 5}}.AppendJSON(nil))
	for n := 1; n < len(whole); n++ {
		if err := EachStamp(whole[:n], func(int64, int64, string) {}); err == nil {
			t.Errorf("%s was read", whole[:n])
		}
	}
	if err := EachStamp("", func(int64, int64, string) { t.Error("a group of nothing") }); err != nil {
		t.Error(err)
	}
}
