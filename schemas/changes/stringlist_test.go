package changes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
)

// membersFrom returns a list of n texts as JSON.
func membersFrom(first, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"m%07d"`, first+i))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func listOf(t *testing.T, s *Set) (list []string) {
	t.Helper()
	if err := json.Unmarshal(s.Client(7).Properties["a"].JSON, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestListsAreBounded: add takes members as long as there is room, in the order of the
// log, whatever order the changes come in; what was removed makes room.
func TestListsAreBounded(t *testing.T) {
	const each = 400
	var log []*schemas.Change
	for i := range 2*MaxListMembers/each + 1 {
		log = append(log, changeOf(`add {"a":`+membersFrom(i*each, each)+`}`))
	}
	r := rand.New(rand.NewPCG(1, 4))
	for range 3 {
		var s Set
		for _, i := range r.Perm(len(log)) {
			s.Add(log[i], int64(i))
		}
		list := listOf(t, &s)
		if len(list) != MaxListMembers || list[0] != "m0000000" || list[len(list)-1] != fmt.Sprintf("m%07d", MaxListMembers-1) {
			t.Fatalf("%d members from %s to %s", len(list), list[0], list[len(list)-1])
		}
		s.Add(changeOf(`remove {"a":["m0000003","m0000003","none"]}`), 1000)
		s.Add(changeOf(`add {"a":["m0000001","new","newer"]}`), 1001)
		if list = listOf(t, &s); len(list) != MaxListMembers || list[3] != "m0000004" || list[len(list)-1] != "new" {
			t.Fatalf("%d members, the last %s", len(list), list[len(list)-1])
		}
	}
	var s Set
	long := strings.Repeat("x", 100_000)
	for i := range 10 {
		s.Add(changeOf(fmt.Sprintf(`add {"a":["%d%s"]}`, i, long)), int64(i))
	}
	if got := len(s.Client(7).Properties["a"].JSON); got > MaxListBytes || len(listOf(t, &s)) != 5 {
		t.Errorf("%d bytes of %d members", got, len(listOf(t, &s)))
	}
	s = Set{}
	s.Add(changeOf(`set {"a":`+membersFrom(0, MaxListMembers+5)+`}`), 1)
	s.Add(changeOf(`add {"a":["more"]}`), 2)
	if list := listOf(t, &s); len(list) != MaxListMembers+5 {
		t.Errorf("a list that was set as a whole has %d members", len(list))
	}
}

// FuzzStringList compares lists with slices that are searched from end to end.
func FuzzStringList(f *testing.F) {
	f.Add([]byte("sabaarbab"))
	f.Add([]byte("aaabacrarbaa"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		var s Set
		var want []string
		set := false
		for i := 0; i+1 < len(steps) && i < 200; i += 2 {
			text := string('a' + rune(steps[i+1]%4))
			switch steps[i] % 3 {
			case 0:
				s.Add(changeOf(fmt.Sprintf(`set {"a":[%q,"b",%q]}`, text, text)), int64(i))
				want, set = []string{text, "b", text}, true
			case 1:
				s.Add(changeOf(fmt.Sprintf(`add {"a":[%q,"c"]}`, text)), int64(i))
				for _, m := range []string{text, "c"} {
					if !slices.Contains(want, m) {
						want = append(want, m)
					}
				}
				set = true
			default:
				s.Add(changeOf(fmt.Sprintf(`remove {"a":%q}`, text)), int64(i))
				want = slices.DeleteFunc(want, func(m string) bool { return m == text })
			}
		}
		if value, known := s.Client(7).Properties["a"]; known != set {
			t.Fatalf("the list is %s", value.JSON)
		} else if set {
			if diff := cmp.Diff(append([]string{}, want...), append([]string{}, listOf(t, &s)...)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// BenchmarkAdd folds additions of 100 new members each: the time per member must not
// grow with their number.
func BenchmarkAdd(b *testing.B) {
	const each = 100
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("additions=%d", n), func(b *testing.B) {
			benchAdditions(b, n, each, func(i int) int { return i })
		})
		b.Run(fmt.Sprintf("additions=%d/latest first", n), func(b *testing.B) {
			benchAdditions(b, n, each, func(i int) int { return n - i })
		})
	}
}

func benchAdditions(b *testing.B, n, each int, offset func(i int) int) {
	log := make([]*schemas.Change, n)
	for i := range log {
		log[i] = changeOf(`add {"a":` + membersFrom(i*each, each) + `}`)
	}
	for b.Loop() {
		var s Set
		for i, c := range log {
			s.Add(c, int64(offset(i)))
		}
		s.Client(7)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n*each), "ns/member")
}
