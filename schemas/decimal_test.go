package schemas

import (
	"errors"
	"math/big"
	"strings"
	"testing"
)

func TestParseDecimal(t *testing.T) {
	check := func(in, want string) {
		t.Helper()
		v, err := ParseDecimal([]byte(in), ValueScale)
		if err != nil {
			t.Errorf("ParseDecimal(%q): %v", in, err)
			return
		}
		if got := string(AppendDecimal(nil, v, ValueScale)); got != want {
			t.Errorf("ParseDecimal(%q) = %s, want %s", in, got, want)
		}
	}
	check("0", "0")
	check("-0", "0")
	check("0.0", "0")
	check("0e999999999999999999999", "0")
	check("1", "1")
	check("-1", "-1")
	check("10", "10")
	check("12.5", "12.5")
	check("1e3", "1000")
	check("1E+3", "1000")
	check("1.5e-3", "0.0015")
	check("0.000000001", "0.000000001")
	check("0.0000000005", "0")           // half to even: down to 0
	check("0.0000000015", "0.000000002") // half to even: up to 2
	check("0.0000000025", "0.000000002") // half to even: down to 2
	check("0.00000000250000000000000001", "0.000000003")
	check("0.00000000049999999999999999", "0")
	check("-0.0000000015", "-0.000000002")
	check("1e-999999999999999999999", "0")
	check("9007199254740993", "9007199254740993") // 2^53+1: no float on the way
	check("99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999")
	check("-99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999")
	check("0.00000000000000000000000000000000000001e38", "1")
	check("100000000000000000000000000000000000000e-38", "1")
	check(strings.Repeat("1", 29)+"."+strings.Repeat("3", 5000), strings.Repeat("1", 29)+".333333333")
}

// TestShortestDecimals compares IsShortest with what reading and writing a number gives.
func TestShortestDecimals(t *testing.T) {
	shortest, others := 0, 0
	for _, sign := range []string{"", "-"} {
		for _, before := range []string{"0", "1", "10", "907", "12345678901234567890123456789"} {
			for _, after := range []string{"", ".0", ".5", ".50", ".05", ".000000001", ".0000000001", ".123456789", ".1234567890", ".9999999999"} {
				for _, exponent := range []string{"", "e0", "E+2", "e-3"} {
					text := sign + before + after + exponent
					v, err := ParseDecimal([]byte(text), ValueScale)
					if err != nil {
						continue
					}
					want := string(AppendDecimal(nil, v, ValueScale)) == text
					if got := IsShortest([]byte(text), ValueScale); got != want {
						t.Errorf("IsShortest(%s) = %v, want %v", text, got, want)
					}
					if want {
						shortest++
					} else {
						others++
					}
				}
			}
		}
	}
	if shortest < 30 || others < 100 {
		t.Errorf("%d shortest and %d others were compared", shortest, others)
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	check := func(in string, want error) {
		t.Helper()
		if v, err := ParseDecimal([]byte(in), ValueScale); !errors.Is(err, want) {
			t.Errorf("ParseDecimal(%q) = %v, %v; want %v", in, v, err, want)
		}
	}
	check("100000000000000000000000000000", ErrTooLarge)
	check("99999999999999999999999999999.9999999995", ErrTooLarge) // rounds to 10^38 units
	check("1e29", ErrTooLarge)
	check("1e999999999999999999999", ErrTooLarge)
	check("", ErrNotNumber)
	check("-", ErrNotNumber)
	check(".5", ErrNotNumber)
	check("1.", ErrNotNumber)
	check("1x", ErrNotNumber)
	check("1e", ErrNotNumber)
	check("1e5x", ErrNotNumber)
	check("NaN", ErrNotNumber)
	check(`"1"`, ErrNotNumber)
}

// FuzzParseDecimal compares ParseDecimal with math/big.
func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"0", "-12.5", "1e28", "0.0000000015", "99999999999999999999999999999.9999999995"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseDecimal([]byte(in), ValueScale)
		if errors.Is(err, ErrNotNumber) || len(in) > 200 || strings.ContainsAny(in, "eE") && len(in) > 8 {
			return
		}
		exact, ok := new(big.Rat).SetString(in)
		if !ok {
			t.Fatalf("ParseDecimal(%q) = %v, %v; math/big reads no number", in, got, err)
		}
		want := roundHalfEven(exact.Mul(exact, big.NewRat(1_000_000_000, 1)))
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(ValuePrecision), nil)
		if fits := new(big.Int).Abs(want).Cmp(limit) < 0; fits != (err == nil) {
			t.Fatalf("ParseDecimal(%q): %v, fits = %v", in, err, fits)
		}
		if err == nil && got.BigInt().Cmp(want) != 0 {
			t.Fatalf("ParseDecimal(%q) = %v, want %v", in, got.BigInt(), want)
		}
	})
}

func roundHalfEven(r *big.Rat) *big.Int {
	quo, rem := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	double := rem.Abs(rem).Lsh(rem, 1)
	up := double.Cmp(r.Denom())
	if up > 0 || up == 0 && quo.Bit(0) == 1 {
		quo.Add(quo, big.NewInt(int64(r.Sign())))
	}
	return quo
}

// BenchmarkParseDecimal parses a value as most events send it.
func BenchmarkParseDecimal(b *testing.B) {
	text := []byte("1234.5625")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDecimal(text, ValueScale); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseDecimalBig is the same by math/big.
func BenchmarkParseDecimalBig(b *testing.B) {
	text, scale := "1234.5625", big.NewRat(1_000_000_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			b.Fatal(text)
		}
		roundHalfEven(exact.Mul(exact, scale))
	}
}
