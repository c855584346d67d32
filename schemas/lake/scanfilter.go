package lake

import "weir/schemas/lake/parquet"

// rowRange is consecutive rows of a row group. Lists of them ascend.
type rowRange = parquet.RowRange

// countRows returns how many rows are in ranges.
func countRows(ranges []rowRange) (n int) {
	for _, r := range ranges {
		n += r.N
	}
	return n
}

// common returns the rows that are in both a and b.
func common(a, b []rowRange) []rowRange {
	var out []rowRange
	for i, j := 0, 0; i < len(a) && j < len(b); {
		from, to := max(a[i].From, b[j].From), min(a[i].From+a[i].N, b[j].From+b[j].N)
		if from < to {
			out = append(out, rowRange{From: from, N: to - from})
		}
		if a[i].From+a[i].N < b[j].From+b[j].N {
			i++
		} else {
			j++
		}
	}
	return out
}

// split divides ranges into batches of at most rows rows.
func split(ranges []rowRange, rows int) [][]rowRange {
	var out [][]rowRange
	var current []rowRange
	left := rows
	for _, r := range ranges {
		for r.N > 0 {
			n := min(r.N, left)
			current = append(current, rowRange{From: r.From, N: n})
			r.From, r.N, left = r.From+n, r.N-n, left-n
			if left == 0 {
				out, current, left = append(out, current), nil, rows
			}
		}
	}
	if len(current) > 0 {
		out = append(out, current)
	}
	return out
}
