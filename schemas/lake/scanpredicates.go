package lake

// rowRange is rows of a row group that follow one another.
type rowRange struct{ from, n int }

// filter finds the rows of g that pass, and returns the columns it has read for
// that by field id.
func (g *group) filter() ([]rowRange, map[int][]int64, error) {
	if len(g.predicates) == 0 {
		return []rowRange{{from: 0, n: int(g.Rows())}}, nil, nil
	}
	pass := make([]bool, g.Rows())
	for i := range pass {
		pass[i] = true
	}
	read := map[int][]int64{}
	for _, p := range g.predicates {
		numbers, err := g.ReadInt64s(p.field, pass)
		if err != nil {
			return nil, nil, err
		}
		read[p.field] = numbers
		some := false
		for i, v := range numbers {
			if pass[i] && !p.matches(v) {
				pass[i] = false
			}
			some = some || pass[i]
		}
		if !some {
			return nil, nil, nil
		}
	}
	return rowRanges(pass), read, nil
}

// rowRanges are the rows that pass.
func rowRanges(pass []bool) []rowRange {
	var out []rowRange
	for i := 0; i < len(pass); i++ {
		if !pass[i] {
			continue
		}
		from := i
		for i < len(pass) && pass[i] {
			i++
		}
		out = append(out, rowRange{from: from, n: i - from})
	}
	return out
}

// split splits runs into parts of at most rows rows.
func split(runs []rowRange, rows int) [][]rowRange {
	var out [][]rowRange
	var ranges []rowRange
	space := rows
	for _, r := range runs {
		for r.n > 0 {
			n := min(r.n, space)
			ranges = append(ranges, rowRange{from: r.from, n: n})
			r.from, r.n, space = r.from+n, r.n-n, space-n
			if space == 0 {
				out, ranges, space = append(out, ranges), nil, rows
			}
		}
	}
	if len(ranges) > 0 {
		out = append(out, ranges)
	}
	return out
}
