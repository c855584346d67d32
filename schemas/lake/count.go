package lake

import (
	"context"
	"fmt"

	"weir/schemas/columns"
)

// CountEvents returns how many rows of files match f and all of textFilters. A file, row
// group or page of which all rows match by its bounds is not read; of the others
// only the columns that are compared are.
func CountEvents(ctx context.Context, l *Lake, files []DataFile, f columns.Filter, textFilters ...TextFilter) (int64, error) {
	s, err := newScanner(l, Events, []string{}, f)
	if err != nil {
		return 0, err
	}
	if err := s.addTexts(l, textFilters); err != nil {
		return 0, err
	}
	s.openAhead = prefetchGroups
	rows, unsure := int64(0), make([]DataFile, 0, len(files))
	for i := range files {
		if len(textFilters) == 0 && allMatch(&s.filter, &files[i]) {
			rows += files[i].Rows
			continue
		}
		unsure = append(unsure, files[i])
	}
	for g, err := range s.groups(ctx, unsure) {
		if err != nil {
			return 0, fmt.Errorf("count events: %w", err)
		}
		rows += int64(countRows(g.ranges))
	}
	return rows, nil
}

// allMatch reports whether all rows of file match f, the values of which ascend;
// true is certain.
func allMatch(f *columns.Filter, file *DataFile) bool {
	return (f.Shard == nil || *f.Shard == file.Shard) &&
		within(file.Min.Time, file.Max.Time, f.TimeFrom, f.TimeTo) &&
		within(file.Min.Arrival, file.Max.Arrival, f.ArrivalFrom, f.ArrivalTo) &&
		offsetsMatch(f, file) &&
		allInBounds(f.Products, file.Min.Product, file.Max.Product) &&
		allInBounds(f.Clients, file.Min.Client, file.Max.Client)
}

// offsetsMatch reports whether f selects all offsets of file.
func offsetsMatch(f *columns.Filter, file *DataFile) bool {
	from, hasFrom := f.OffsetFrom[file.Shard]
	to, hasTo := f.OffsetTo[file.Shard]
	if !hasFrom && !hasTo {
		return true
	}
	return file.Max.Arrival != 0 && (!hasFrom || file.Min.Offset >= from) && (!hasTo || file.Max.Offset < to)
}

// within reports whether the bounds low to high, both inclusive, lie inside the
// half-open range from to; bounds of 0 and 0 are unknown.
func within(low, high, from, to int64) bool {
	if from == 0 && to == 0 {
		return true
	}
	return (low != 0 || high != 0) && (from == 0 || low >= from) && (to == 0 || high < to)
}

// allInBounds reports whether each value between low and high, both inclusive, is
// one of wanted, which ascend; nil is every value, bounds of 0 and 0 are unknown.
func allInBounds(wanted []int64, low, high int64) bool {
	if wanted == nil {
		return true
	}
	if low == 0 && high == 0 {
		return false
	}
	for _, v := range wanted {
		switch {
		case v < low:
		case v > low:
			return false
		case v == high:
			return true
		default:
			low++
		}
	}
	return false
}
