package lake

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// Prune returns those of files that may have a row of f. Bounds that a table
// lacks prune nothing; f must not have times for files of clients.
func Prune(files []DataFile, f columns.Filter) []DataFile {
	out := make([]DataFile, 0, len(files))
	for i := range files {
		if mayHave(&f, &files[i]) {
			out = append(out, files[i])
		}
	}
	return out
}

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

// overlaps says that bounds low to high, both inclusive, meet the half-open
// range from to; bounds of 0 and 0 are unknown.
func overlaps(low, high, from, to int64) bool {
	if low == 0 && high == 0 {
		return true
	}
	return (from == 0 || high >= from) && (to == 0 || low < to)
}

// anyInBounds says that one of wanted lies within the bounds; nil is all, bounds
// of 0 and 0 are unknown.
func anyInBounds(wanted []int64, low, high int64) bool {
	if wanted == nil || (low == 0 && high == 0) {
		return wanted == nil || len(wanted) > 0
	}
	return slices.ContainsFunc(wanted, func(v int64) bool { return low <= v && v <= high })
}

// predicate is what a filter asks of one column of numbers.
type predicate struct {
	field     int   // id
	low, high int64 // both inclusive
	values    []int64
	set       map[int64]struct{} // of only, where that is long
	bloom     bloomFilter        // of set
}

// bloomFilter says quickly of most values that they are not in a set.
type bloomFilter []uint64

const bloomBits = 14

func (bloomFilter) bit(v int64) (word, bit uint64) {
	const spread = 0x9e3779b97f4a7c15
	h := uint64(v) * spread >> (64 - bloomBits)
	return h / 64, 1 << (h % 64)
}

func (s bloomFilter) add(v int64) {
	word, bit := s.bit(v)
	s[word] |= bit
}

func (s bloomFilter) mayHave(v int64) bool {
	word, bit := s.bit(v)
	return s[word]&bit != 0
}

// minHashedValues is from where on a list of values is looked up in a map.
const minHashedValues = 8

// predicates returns what f asks of the columns of schema, for the rows of one shard.
func predicates(f *columns.Filter, schema *arrow.Schema, shard int32) []predicate {
	var out []predicate
	add := func(p predicate) {
		if p.field != 0 && (p.low != math.MinInt64 || p.high != math.MaxInt64 || p.values != nil) {
			out = append(out, p)
		}
	}
	add(valuesPredicate(fieldID(schema, columns.ProductID), f.Products))
	add(valuesPredicate(fieldID(schema, columns.ClientID), f.Clients))
	add(timestampPredicate(fieldID(schema, columns.Time), f.TimeFrom, f.TimeTo))
	add(dayPredicate(fieldID(schema, colDay), f.TimeFrom, f.TimeTo))
	add(timestampPredicate(fieldID(schema, columns.Arrival), f.ArrivalFrom, f.ArrivalTo))
	from, to := f.OffsetRange(shard)
	if to != math.MaxInt64 {
		to-- // inclusive
	}
	add(predicate{field: fieldID(schema, columns.Offset), low: from, high: to})
	return out
}

func valuesPredicate(field int, values []int64) predicate {
	p := predicate{field: field, low: math.MinInt64, high: math.MaxInt64, values: values}
	if len(values) >= minHashedValues {
		p.set, p.bloom = make(map[int64]struct{}, len(values)), make(bloomFilter, 1<<bloomBits/64)
		for _, v := range values {
			p.set[v] = struct{}{}
			p.bloom.add(v)
		}
	}
	return p
}

// timestampPredicate asks a timestamp column for milliseconds from to.
func timestampPredicate(field int, from, to int64) predicate {
	p := predicate{field: field, low: math.MinInt64, high: math.MaxInt64}
	if from != 0 {
		p.low = int64(columns.ToTimestamp(from))
	}
	if to != 0 {
		p.high = int64(columns.ToTimestamp(to)) - 1
	}
	return p
}

// dayPredicate asks a date column for the days that start within milliseconds from to.
func dayPredicate(field int, from, to int64) predicate {
	p := predicate{field: field, low: math.MinInt64, high: math.MaxInt64}
	if from != 0 {
		p.low = floorDay(from-1) + 1
	}
	if to != 0 {
		p.high = floorDay(to - 1)
	}
	return p
}

func floorDay(ms int64) int64 {
	day := ms / dayMS
	if ms%dayMS < 0 {
		day--
	}
	return day
}

// matches says that a value passes.
func (p *predicate) matches(v int64) bool {
	if v < p.low || v > p.high {
		return false
	}
	if p.set != nil {
		if !p.bloom.mayHave(v) {
			return false
		}
		_, ok := p.set[v]
		return ok
	}
	return p.values == nil || slices.Contains(p.values, v)
}

// matchRange says whether none or all of the values between low and high, both
// inclusive, pass.
func (p *predicate) matchRange(low, high int64) (none, all bool) {
	if high < p.low || low > p.high {
		return true, false
	}
	if p.values != nil {
		within := func(v int64) bool { return low <= v && v <= high }
		return !slices.ContainsFunc(p.values, within), low == high && p.matches(low)
	}
	return false, p.low <= low && high <= p.high
}
