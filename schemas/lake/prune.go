package lake

import (
	"slices"

	"weir/schemas/columns"
)

// Prune returns the files that may have a row of f, by their bounds. Bounds
// that a file lacks prune nothing. For files of clients f must have no times,
// since their bounds are those of first_time and last_time.
func Prune(files []DataFile, f columns.Filter) []DataFile {
	out := make([]DataFile, 0, len(files))
	f = ordered(f)
	for i := range files {
		if mayHave(&f, &files[i]) {
			out = append(out, files[i])
		}
	}
	return out
}

// mayHave reports whether file may have a row of f, the values of which ascend.
func mayHave(f *columns.Filter, file *DataFile) bool {
	if f.Shard != nil && *f.Shard != file.Shard {
		return false
	}
	from, to := f.OffsetRange(file.Shard)
	return overlaps(file.Min.Time, file.Max.Time, f.TimeFrom, f.TimeTo) &&
		overlaps(file.Min.Arrival, file.Max.Arrival, f.ArrivalFrom, f.ArrivalTo) &&
		(file.Max.Arrival == 0 || (file.Max.Offset >= from && file.Min.Offset < to)) &&
		anyInBounds(f.Products, file.Min.Product, file.Max.Product) &&
		anyInBounds(f.Clients, file.Min.Client, file.Max.Client)
}

// overlaps reports whether the bounds low to high, both inclusive, meet the
// half-open range from to; bounds of 0 and 0 are unknown.
func overlaps(low, high, from, to int64) bool {
	if low == 0 && high == 0 {
		return true
	}
	return (from == 0 || high >= from) && (to == 0 || low < to)
}

// anyInBounds reports whether one of wanted, which ascend, lies within the bounds;
// nil is every value, bounds of 0 and 0 are unknown.
func anyInBounds(wanted []int64, low, high int64) bool {
	if wanted == nil || (low == 0 && high == 0) {
		return wanted == nil || len(wanted) > 0
	}
	return anyBetween(wanted, low, high)
}

// ordered returns f with ascending products and clients. There may be tens of
// thousands of them, and each file and page is compared with them.
func ordered(f columns.Filter) columns.Filter {
	f.Products, f.Clients = ascending(f.Products), ascending(f.Clients)
	return f
}

// ascending returns values in ascending order.
func ascending(values []int64) []int64 {
	if slices.IsSorted(values) {
		return values
	}
	return slices.Sorted(slices.Values(values))
}

// anyBetween reports whether one of values, which ascend, lies between low and
// high, both inclusive.
func anyBetween(values []int64, low, high int64) bool {
	i, _ := slices.BinarySearch(values, low)
	return i < len(values) && values[i] <= high
}
