package parquet

import "sort"

// RowRange is consecutive rows of a row group. Lists of them ascend and do not
// overlap.
type RowRange struct{ From, N int }

// anyRow reports whether one of rows lies between from and to, exclusive.
func anyRow(rows []RowRange, from, to int) bool {
	i := sort.Search(len(rows), func(i int) bool { return rows[i].From+rows[i].N > from })
	return i < len(rows) && rows[i].From < to
}

// maxJoinedGap is how many rows between two ranges are decoded with them: to
// begin another run of rows costs about as much.
const maxJoinedGap = 256

// CloseTogether returns rows with ranges joined that lie close.
func CloseTogether(rows []RowRange) []RowRange {
	var out []RowRange
	for _, r := range rows {
		if last := len(out) - 1; last >= 0 && r.From-out[last].From-out[last].N < maxJoinedGap {
			out[last].N = r.From + r.N - out[last].From
			continue
		}
		out = append(out, r)
	}
	return out
}
