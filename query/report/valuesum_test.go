package report

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas/rollup"
)

// TestOverflowedSums: a sum that overflowed is null and the answer says so; the sums of
// other events are as they were, and those of many rows are exact beyond 38 digits.
func TestOverflowedSums(t *testing.T) {
	most := decimal128.GetMaxValue(38).Sub(decimal128.FromI64(1))
	row := func(name string, client int64, sum decimal128.Num) rollup.EventDay {
		return rollup.EventDay{Product: 1, Client: client, Day: 90, HasCategory: true, Category: name, Name: name, Count: 2, ValueSum: sum, ValueCount: 2}
	}
	day := func(client, runtime int64) rollup.ClientDay {
		return rollup.ClientDay{Product: 1, Client: client, Day: 90, Events: 2, Sessions: 1, RuntimeMS: runtime, First: 90 * dayMS, Last: 90 * dayMS}
	}
	person := func(client, runtime int64) rollup.Client {
		return rollup.Client{Product: 1, Client: client, Events: 2, Sessions: 1, RuntimeMS: runtime, First: 90 * dayMS, Last: 90 * dayMS}
	}
	whole := &fakeSource{
		clients: []rollup.Client{person(1, hourMS), person(2, hourMS)},
		days:    []rollup.ClientDay{day(1, hourMS), day(2, hourMS)},
		events:  []rollup.EventDay{row("large", 1, most), row("large", 2, most), row("less", 1, most.Negate()), row("less", 2, most.Negate()), row("plain", 1, decimal128.FromI64(5))},
	}
	broken := &fakeSource{
		clients: []rollup.Client{person(1, hourMS), person(2, rollup.OverflowedRuntime)},
		days:    []rollup.ClientDay{day(1, hourMS), day(2, rollup.OverflowedRuntime)},
		events:  append([]rollup.EventDay{row("over", 1, rollup.OverflowedValues()), row("over", 2, rollup.OverflowedValues().Negate())}, whole.events...),
	}
	const days = `"startDate":"1970-03-31","stopDate":"1970-04-02"`
	check := func(what string, compile func(*Body, Params) (*Question, error), body string, src Source, want ...string) {
		t.Helper()
		got := answerOf(t, compile, body, Params{}, src)
		for _, text := range want {
			text, absent := strings.CutPrefix(text, "!")
			if strings.Contains(got, text) == absent {
				t.Errorf("%s: %s in %s is %v", what, text, got, absent)
			}
		}
	}
	large := "199999999999999999999999999999.999999996" // 39 digits
	check("table", NewEventTable, `{`+days+`}`, whole,
		`"cumulativeValue":`+large, `"cumulativeValue":-`+large, `"cumulativeValue":0.000000005`, `!overflow`)
	check("table with overflow", NewEventTable, `{`+days+`}`, broken,
		`"categoryCustomValuesSummary":{"cumulativeValue":null,"averageValuePerUser":null,"averageValuePerSession":null,"averageValuePerRuntimeHour":null,"averageValuePerUsageCount":null}`,
		`"cumulativeValue":`+large, `"averageCountPerRuntimeHour":null`, `"averageCountPerSession":2`, `"overflow":true}`)
	timeline := `{` + days + `,"dateSplit":"day","dataView":"customValues","divisor":%q,"events":[{"category":%q,"name":%q}]}`
	check("timeline", NewEventTimeline, fmt.Sprintf(timeline, "", "large", "large"), broken, `"value":`+large, `!overflow`)
	check("timeline with overflow", NewEventTimeline, fmt.Sprintf(timeline, "", "over", "over"), broken, `"value":null`, `"overflow":true}`)
	check("timeline by hours", NewEventTimeline, fmt.Sprintf(timeline, "runtime", "plain", "plain"), broken, `"value":null`, `"overflow":true}`)
	check("timeline by hours of other clients", NewEventTimeline, fmt.Sprintf(timeline, "runtime", "plain", "plain"), whole, `"value":0`, `!overflow`)
	check("list", NewClientList, `{"properties":["lifetimeRuntimeMinutes"]}`, broken, `"lifetimeRuntimeMinutes":153722867280912`, `"overflow":true}`)
	check("list without it", NewClientList, `{"properties":["lifetimeSessionCount"]}`, broken, `!overflow`)
	check("list of others", NewClientList, `{"properties":["lifetimeRuntimeMinutes"]}`, whole, `"lifetimeRuntimeMinutes":60`, `!overflow`)
	check("distribution", NewUsageDistribution, `{`+days+`}`, broken, `"runtime":{"≤`, `2000000000000:01 - 4000000000000:00":1`, `!":-`, `"overflow":true}`)
	check("distribution of others", NewUsageDistribution, `{`+days+`}`, whole, `!overflow`)
}

// FuzzValueSum compares sums of sums with those of math/big.
func FuzzValueSum(f *testing.F) {
	f.Add(int64(1), uint64(2), uint16(3), int64(-4), uint64(5), uint16(6))
	f.Add(int64(5421010862427522170), uint64(687399551400673278), uint16(math.MaxUint16), int64(-1), uint64(math.MaxUint64), uint16(1))
	f.Fuzz(func(t *testing.T, hi1 int64, lo1 uint64, n1 uint16, hi2 int64, lo2 uint64, n2 uint16) {
		var got valueSum
		want, overflowed := new(big.Int), false
		for _, rows := range []struct {
			sum decimal128.Num
			n   uint16
		}{{decimal128.New(hi1, lo1), n1}, {decimal128.New(hi2, lo2), n2}} {
			for range rows.n {
				got.addRow(rows.sum)
				want.Add(want, rows.sum.BigInt())
				overflowed = overflowed || rollup.IsOverflowed(rows.sum)
			}
		}
		if overflowed != got.overflowed() {
			t.Fatalf("overflowed is %v", got.overflowed())
		}
		if overflowed {
			want = nil
		} else if got.units().Cmp(want) != 0 {
			t.Fatalf("%s, want %s", got.units(), want)
		}
		text := string(got.exact())
		if want == nil {
			if text != "null" || string(got.per(1)) != "null" || string(got.perHour(1)) != "null" {
				t.Fatalf("an overflowed sum is %s", text)
			}
			return
		}
		if exact := trimmed(new(big.Rat).SetFrac(want, big.NewInt(valueUnit)).FloatString(9)); text != string(exact) {
			t.Fatalf("%s, want %s", text, exact)
		}
	})
}
