package lake

import (
	"context"
	"iter"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// ScanRows is Lake.ScanEvents of the rows at some offsets of shards, of which f is
// true. They are few: of the named columns only the pages are read that have one.
func ScanRows(
	ctx context.Context, l *Lake, files []DataFile, names []string, f columns.Filter, offsets map[int32][]int64,
) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		s, err := newScanner(l, Events, names, f)
		if err != nil {
			yield(nil, err)
			return
		}
		s.rowsOf = map[int32]predicate{}
		for shard, list := range offsets {
			s.rowsOf[shard] = valuesPredicate(s.rules.offset, ascending(list))
		}
		s.run(ctx, slices.DeleteFunc(slices.Clone(files), func(file DataFile) bool { return !s.mayHaveRows(&file) }), yield)
	}
}

// mayHaveRows reports whether file may have one of the rows of ScanRows.
func (s *scanner) mayHaveRows(file *DataFile) bool {
	p, wanted := s.rowsOf[file.Shard]
	return wanted && (file.Max.Arrival == 0 || anyBetween(p.values, file.Min.Offset, file.Max.Offset))
}

// predicates returns the conditions on the rows of file.
func (s *scanner) predicates(file *DataFile) []predicate {
	all := s.rules.ofShard(file.Shard)
	if s.rowsOf != nil {
		all = append(all, s.rowsOf[file.Shard])
	}
	return all
}
