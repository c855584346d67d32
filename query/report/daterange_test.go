package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func day(t testing.TB, text string) Day {
	t.Helper()
	d, err := ParseDay("x", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRangeIsCutIntoBuckets(t *testing.T) {
	check := func(start, stop string, split Split, want ...string) {
		t.Helper()
		r, err := NewRange(day(t, start), day(t, stop), split)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range r.Buckets {
			got = append(got, fmt.Sprintf("%s: %s to %s", b.Key, b.From, b.To-1))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s to %s by %s (-want +got):\n%s", start, stop, split, diff)
		}
		for i, b := range r.Buckets {
			for d := b.From; d < b.To; d++ {
				if got, in := r.bucket(d); !in || got != i {
					t.Errorf("day %s is in bucket %d (inside %v), want bucket %d", d, got, in, i)
				}
			}
		}
	}
	check("2024-02-28", "2024-03-01", ByDay, "2024-02-28: 2024-02-28 to 2024-02-28", "2024-02-29: 2024-02-29 to 2024-02-29",
		"2024-03-01: 2024-03-01 to 2024-03-01")
	check("2024-03-05", "2024-03-17", ByWeek, "2024-03-04: 2024-03-05 to 2024-03-10", "2024-03-11: 2024-03-11 to 2024-03-17")
	check("2024-03-10", "2024-03-11", ByWeek, "2024-03-04: 2024-03-10 to 2024-03-10", "2024-03-11: 2024-03-11 to 2024-03-11")
	check("2023-12-31", "2024-02-01", ByMonth, "2023-12-01: 2023-12-31 to 2023-12-31", "2024-01-01: 2024-01-01 to 2024-01-31",
		"2024-02-01: 2024-02-01 to 2024-02-01")
	check("1970-01-01", "1970-01-01", NoSplit, "1970-01-01: 1970-01-01 to 1970-01-01")
}

func TestParseDay(t *testing.T) {
	today := DayOf(time.Date(2024, 3, 1, 23, 59, 59, 0, time.UTC))
	for text, want := range map[string]string{"NOW": "2024-03-01", "NOW-0": "2024-03-01", "NOW-30": "2024-01-31", "NOW-99999": "1970-01-01", "2024-02-29": "2024-02-29"} {
		if got, err := ParseDay("x", text, today); err != nil || got.String() != want {
			t.Errorf("ParseDay(%s) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "NOW30", "NOW--1", "NOW-x", "2024-02-30", "2024-2-3", "1969-12-31", "2024-02-29T00:00:00"} {
		fieldErr := (*FieldError)(nil)
		if _, err := ParseDay("x", text, today); !errors.As(err, &fieldErr) || fieldErr.Field != "x" {
			t.Errorf("ParseDay(%q): %v, want an error that names field x", text, err)
		}
	}
	if _, err := ParseDay("x", "1969-12-31", today); err == nil || !strings.Contains(err.Error(), "before 1970-01-01") {
		t.Errorf("a day before 1970: %v, want an error that says the bound", err)
	}
	if _, err := NewRange(0, MaxBuckets, ByDay); err == nil {
		t.Error("a range of more than MaxBuckets days was accepted")
	}
}
