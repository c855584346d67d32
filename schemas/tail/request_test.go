package tail

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
)

// TestRequestBytes pins the bytes of requests: during a rolling upgrade queries
// of the previous release ask owners of the new one, and the other way round.
func TestRequestBytes(t *testing.T) {
	check := func(req Request, want string) {
		t.Helper()
		got, err := encodeRequest(req)
		if err != nil || string(got) != want {
			t.Errorf("encoded %+v:\n%s, %v, want\n%s", req, got, err, want)
		}
		back, err := decodeRequest(strings.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(req, back); diff != "" {
			t.Errorf("decoded %s (-want +got):\n%s", want, diff)
		}
	}
	check(Request{From: map[int32]int64{}}, `{"from":{}}`)
	check(Request{
		From: map[int32]int64{3: 7}, Rows: map[int32][]int64{3: {}}, Columns: []string{"time"}, Changes: true,
		Filter: columns.Filter{
			Products: []int64{1}, Clients: []int64{}, TimeFrom: 1, TimeTo: 2, ArrivalFrom: 3, ArrivalTo: 4, Shard: new(int32(0)),
			OffsetFrom: map[int32]int64{5: 6}, OffsetTo: map[int32]int64{5: 8},
		},
	}, `{"from":{"3":7},"rows":{"3":[]},"filter":{"products":[1],"clients":[],"time_from":1,"time_to":2,"arrival_from":3,"arrival_to":4,`+
		`"shard":0,"offset_from":{"5":6},"offset_to":{"5":8}},"columns":["time"],"changes":true}`)
}
