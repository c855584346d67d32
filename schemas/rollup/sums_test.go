package rollup

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	gocmp "github.com/google/go-cmp/cmp"

	"weir/schemas"
)

func TestAddRuntime(t *testing.T) {
	check := func(a, b, want int64) {
		t.Helper()
		if got := AddRuntime(a, b); got != want {
			t.Errorf("%d + %d = %d, want %d", a, b, got, want)
		}
	}
	check(0, 0, 0)
	check(1, 2, 3)
	check(math.MaxInt64-1, 0, math.MaxInt64-1)
	check(math.MaxInt64-1, 1, OverflowedRuntime)
	check(math.MaxInt64, math.MaxInt64, OverflowedRuntime)
	check(OverflowedRuntime, 0, OverflowedRuntime)
	check(-2, 5, OverflowedRuntime) // two runtimes of the largest number, which a version before added
	check(5, math.MinInt64, OverflowedRuntime)
}

func TestAddValues(t *testing.T) {
	number := func(text string) decimal128.Num {
		t.Helper()
		n, ok := new(big.Int).SetString(text, 10)
		if !ok || n.BitLen() > 127 {
			t.Fatalf("%s is no 128-bit number", text)
		}
		return decimal128.FromBigInt(n)
	}
	const nines = "99999999999999999999999999999999999999" // 38
	check := func(a, b, want string) {
		t.Helper()
		for range 2 {
			if got := addValues(number(a), number(b)).BigInt().String(); got != want {
				t.Errorf("%s + %s = %s, want %s", a, b, got, want)
			}
			a, b = b, a
		}
	}
	check("1", "-2", "-1")
	check("50000000000000000000000000000000000000", "49999999999999999999999999999999999998", "99999999999999999999999999999999999998")
	check("50000000000000000000000000000000000000", "49999999999999999999999999999999999999", nines)
	check("50000000000000000000000000000000000000", "50000000000000000000000000000000000000", nines)
	check("99999999999999999999999999999999999998", "99999999999999999999999999999999999998", nines) // passes 2^127
	check("-99999999999999999999999999999999999999", "0", "-99999999999999999999999999999999999999")
	check("-99999999999999999999999999999999999999", "-1", nines)
	check("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", nines)
	check("99999999999999999999999999999999999998", "-99999999999999999999999999999999999998", "0")
	check(nines, "-5", nines) // overflowed before
	check(nines, "-99999999999999999999999999999999999999", nines)
	check("170141183460469231731687303715884105727", "-1", nines) // what a version before let wrap
	check("-140282366920938463463374607431768211458", "7", nines)
	if low := decimal128.New(math.MinInt64, 0); !IsOverflowed(low) || addValues(low, low) != OverflowedValues() {
		t.Error("the smallest number of 128 bits is taken for a sum")
	}
}

// TestAddValue: a single value beyond 10^24 marks its sum, whatever else is added.
func TestAddValue(t *testing.T) {
	most := decimal128.GetMaxValue(33)
	beyond := most.Add(decimal128.FromI64(1))
	for _, sign := range []func(decimal128.Num) decimal128.Num{func(n decimal128.Num) decimal128.Num { return n }, decimal128.Num.Negate} {
		if got := addValue(decimal128.Num{}, sign(most)); got != sign(most) {
			t.Errorf("0 + %s = %s", sign(most).ToString(9), got.ToString(9))
		}
		if got := addValue(sign(beyond).Negate(), sign(beyond)); got != OverflowedValues() {
			t.Errorf("%s is added: %s", sign(beyond).ToString(9), got.ToString(9))
		}
		if got := addValue(decimal128.Num{}, sign(decimal128.GetMaxValue(38))); got != OverflowedValues() {
			t.Errorf("29 digits are added: %s", got.ToString(9))
		}
	}
	largest := decimal128.GetMaxValue(schemas.MaxValueDigits + schemas.ValueScale)
	if got := addValue(largest, largest); got != largest.Add(largest) {
		t.Errorf("the largest accepted value twice = %s", got.ToString(9))
	}
}

// TestSumsOfOldRecords folds records of versions before, with values of up to 38 digits
// and any runtime, in any split and order: the rows are the same, and no sum has more
// digits than its column.
func TestSumsOfOldRecords(t *testing.T) {
	overflowed, exact := 0, 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		events := randomEvents(r, 1+r.IntN(60))
		for i := range events {
			if r.IntN(3) == 0 {
				v := decimal128.GetMaxValue(int32(1 + r.IntN(38)))
				if r.IntN(2) == 0 {
					v = v.Negate()
				}
				events[i].Value = &v
			}
			if r.IntN(3) == 0 {
				events[i].RuntimeMS = new(int64(math.MaxInt64 - r.IntN(3)))
			}
		}
		want := model(events)
		got := addInSeveralSets(t, r, events)
		if diff := gocmp.Diff(want, dump(got)); diff != "" {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
		}
		for d := range got.EventDays() {
			if !d.ValueSum.FitsInPrecision(schemas.ValuePrecision) {
				t.Fatalf("seed %d: a sum of %s", seed, d.ValueSum.ToString(9))
			}
			if d.ValueSum == OverflowedValues() {
				overflowed++
			} else {
				exact++
			}
		}
		for d := range got.ClientDays() {
			if d.RuntimeMS < 0 {
				t.Fatalf("seed %d: a runtime of %d", seed, d.RuntimeMS)
			}
		}
	}
	if overflowed < 100 || exact < 100 {
		t.Errorf("%d sums overflowed, %d did not", overflowed, exact)
	}
}

// FuzzAddValues compares sums with those of math/big.
func FuzzAddValues(f *testing.F) {
	f.Add(int64(0), uint64(1), int64(-1), uint64(math.MaxUint64))
	f.Add(int64(5421010862427522170), uint64(687399551400673279), int64(1), uint64(0))
	f.Add(int64(math.MaxInt64), uint64(math.MaxUint64), int64(math.MinInt64), uint64(0))
	limit := OverflowedValues().BigInt()
	f.Fuzz(func(t *testing.T, hi1 int64, lo1 uint64, hi2 int64, lo2 uint64) {
		a, b := decimal128.New(hi1, lo1), decimal128.New(hi2, lo2)
		got := addValues(a, b)
		want := new(big.Int).Add(signed(a), signed(b))
		fits := func(n *big.Int) bool { return n.Cmp(limit) < 0 && new(big.Int).Neg(n).Cmp(limit) <= 0 }
		if !fits(signed(a)) || !fits(signed(b)) || !fits(want) {
			want = limit
		}
		if signed(got).Cmp(want) != 0 || got != addValues(b, a) {
			t.Fatalf("%s + %s = %s, want %s", signed(a), signed(b), signed(got), want)
		}
	})
}

// signed is BigInt, also of the smallest number of 128 bits.
func signed(n decimal128.Num) *big.Int {
	out := new(big.Int).Lsh(big.NewInt(n.HighBits()), 64)
	return out.Add(out, new(big.Int).SetUint64(n.LowBits()))
}
