package lake

// rowRange is consecutive rows of a row group.
type rowRange struct{ from, n int }

// filter finds the rows of g that pass, and returns the columns it has read for
// that by field id, so that nobody decodes them again.
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

// rowRanges returns the rows that pass as ranges.
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

// split divides ranges into batches of at most rows rows.
func split(ranges []rowRange, rows int) [][]rowRange {
	var out [][]rowRange
	var current []rowRange
	left := rows
	for _, r := range ranges {
		for r.n > 0 {
			n := min(r.n, left)
			current = append(current, rowRange{from: r.from, n: n})
			r.from, r.n, left = r.from+n, r.n-n, left-n
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
