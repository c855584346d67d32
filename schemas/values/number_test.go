package values

import (
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"8192": 8192, "8192.0": 8192, " 8192": 8192, "8192\t\r\n ": 8192, "+5": 5, "-5": -5, "-0": 0, "007": 7, ".5": 0.5, "5.": 5, "1e0": 1,
		"1E+2": 100, "1e-400": 0, "16384.5": 16384.5,
	} {
		if n, ok := Number(text); !ok || n != want || NumberText(n) != NumberText(want) {
			t.Errorf("%q is read as %v, %v, want %v", text, n, ok, want)
		}
	}
	for _, text := range []string{"", " ", ".", "+", "e5", "1e", "1e+", "0x1p4", "0x10", "1_000", "1,000", "1 000", "inf", "Infinity", "nan", "1e400", "-1e400", "--1", "5%", "٣"} {
		if n, ok := Number(text); ok {
			t.Errorf("%q is read as %v, want none", text, n)
		}
	}
}

func TestWhole(t *testing.T) {
	for text, want := range map[string]int64{
		"30": 30, "30.0": 30, "3e1": 30, "300e-1": 30, "30.000000000000000000000000000000": 30, "1e0": 1, "0e999999999999999999999": 0, "-0": 0, "-0.0": 0,
		"9223372036854775807": 1<<63 - 1, "9223372036854775807.0": 1<<63 - 1, "9.223372036854775807e18": 1<<63 - 1, "-9223372036854775808.0": -1 << 63,
		"922337203685477580700e-2": 1<<63 - 1, "1e18": 1e18,
	} {
		if n, ok := Whole([]byte(text)); !ok || n != want {
			t.Errorf("%s is read as %d, %v, want %d", text, n, ok, want)
		}
	}
	for _, text := range []string{"30.5", "3e-1", "1e19", "9223372036854775808", "9223372036854775807.5", "-9223372036854775809.0", "1e400", "1e999999999999999999999", "", "x", "0x10", "1e"} {
		if n, ok := Whole([]byte(text)); ok {
			t.Errorf("%s is read as %d, want none", text, n)
		}
	}
}

func TestFinite(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "1.7e308": true, "1e-400": true, "1e400": false, "-1e400": false, "1E309": false,
		strings.Repeat("9", 308): true, strings.Repeat("9", 310): false, strings.Repeat("9", 310) + "e-10": true,
	} {
		if Finite([]byte(text)) != want {
			t.Errorf("%.20s is finite: %v, want %v", text, !want, want)
		}
	}
}

// FuzzNumber compares the readings of a number with package big.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"8192.0", " +5", "0x1p4", "1e400", "9.223372036854775807e18", "-0.0", "300e-1", "1_0", "inf", ".5e1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := Number(text)
		if ok {
			if again, ok := Number(NumberText(n)); !ok || again != n || !jsontext.Value(NumberText(n)).IsValid() {
				t.Errorf("%q is read as %v, and its text as %v", text, n, again)
			}
			if plain, err := strconv.ParseFloat(strings.Trim(text, " \t\r\n"), 64); err != nil || plain != n {
				t.Errorf("%q is read as %v, package strconv says %v, %v", text, n, plain, err)
			}
		}
		whole, isWhole := Whole([]byte(text))
		if e := strings.IndexAny(text, "eE"); e >= 0 && len(text)-e > 5 {
			return // package big would expand it
		}
		exact, readable := new(big.Rat).SetString(text)
		if isWhole && (!readable || !exact.IsInt() || exact.Num().Cmp(big.NewInt(whole)) != 0) {
			t.Errorf("%q is read as %d, package big says %v", text, whole, exact)
		}
		if v := jsontext.Value(text); v.IsValid() && v.Kind() == '0' && strings.Trim(text, " \t\r\n") == text && exact.IsInt() && exact.Num().IsInt64() && !isWhole {
			t.Errorf("%q is not read, package big says %v", text, exact)
		}
	})
}
