package lake

import (
	"context"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/lake/parquet"
)

// pruneGroup drops the predicates that all rows of a row group pass by its
// statistics; mayMatch is false when no row passes.
func pruneGroup(file *parquet.File, group int, all []predicate) (remaining []predicate, mayMatch bool) {
	for _, p := range all {
		if !file.Has(p.field) { // the file is older than the column: its rows have no value
			if p.text != nil && p.text("") {
				continue
			}
			return nil, false // null is no integer that matches
		}
		low, high, known := int64(0), int64(0), false
		if p.text == nil {
			low, high, known = file.Bounds(group, p.field)
		}
		if !known {
			remaining = append(remaining, p)
			continue
		}
		none, all := p.matchRange(low, high)
		if none {
			return nil, false
		}
		if !all {
			remaining = append(remaining, p)
		}
	}
	return remaining, true
}

// openGroup finds the rows of a row group that pass and fetches the columns of
// the batches for them; nil if none passes. What costs least is looked at first:
// the bounds of pages, then dictionaries, then the values of the columns that
// predicates are on.
func (s *scanner) openGroup(ctx context.Context, file openDataFile, i int, predicates []predicate) (*group, error) {
	f, err := newGroupFilter(ctx, file.content, i, predicates)
	if err != nil || len(f.rows) == 0 {
		return nil, err
	}
	f.few = s.rowsOf != nil
	if may, err := f.dictionariesMatch(ctx); err != nil || !may {
		return nil, err
	}
	rows, err := file.content.Fetch(ctx, i, f.fieldsToFetch(s.fields), parquet.CloseTogether(f.rows))
	if err != nil {
		return nil, err
	}
	if err := f.apply(rows); err != nil || len(f.rows) == 0 {
		return nil, err
	}
	maps.DeleteFunc(f.decoded, func(field int, _ parquet.Int64s) bool { return !s.takesInt64s(field) })
	if f.selective() {
		err = rows.Fetch(ctx, f.missing(s.fields), f.rows)
	}
	return &group{RowGroup: rows, path: file.Path, ranges: f.rows, decoded: f.decoded}, err
}

// takesInt64s reports whether the batches have a column as integers, just as they
// are read to be judged.
func (s *scanner) takesInt64s(field int) bool {
	i := slices.Index(s.fields, field)
	if i < 0 {
		return false
	}
	id := s.schema.Field(i).Type.ID()
	return id == arrow.INT64 || id == arrow.TIMESTAMP
}

// groupFilter finds the rows of a row group that pass.
type groupFilter struct {
	file    *parquet.File
	index   int // of the row group
	checks  []check
	few     bool                   // few rows are wanted
	rows    []rowRange             // that may pass, or, in the end, do
	decoded map[int]parquet.Int64s // by field: columns whose values in rows are known
}

// check is a predicate that some rows of a row group may fail.
type check struct {
	predicate
	rows []rowRange // outside of these every row passes; nil is all rows
}

// newGroupFilter narrows the rows of a row group by the bounds of its pages.
func newGroupFilter(ctx context.Context, file *parquet.File, index int, predicates []predicate) (*groupFilter, error) {
	f := &groupFilter{file: file, index: index, rows: []rowRange{{N: int(file.Rows(index))}}, decoded: map[int]parquet.Int64s{}}
	for _, p := range predicates {
		if p.text != nil {
			f.checks = append(f.checks, check{predicate: p})
			continue
		}
		pages, err := file.Pages(ctx, index, p.field)
		if err != nil {
			return nil, err
		}
		if pages == nil {
			f.checks = append(f.checks, check{predicate: p})
			continue
		}
		f.prune(p, pages)
	}
	f.dropDecided()
	return f, nil
}

// prune leaves out the pages of which no row passes p, and has p checked in those
// of which some may not.
func (f *groupFilter) prune(p predicate, pages []parquet.Page) {
	var mayPass, unsure []rowRange
	for i := range pages {
		none, all := p.matchPage(&pages[i])
		if none {
			continue
		}
		mayPass = append(mayPass, pages[i].Rows)
		if !all {
			unsure = append(unsure, pages[i].Rows)
		}
	}
	f.rows = common(f.rows, mayPass)
	if len(unsure) > 0 {
		f.checks = append(f.checks, check{predicate: p, rows: unsure})
	}
}

// matchPage is matchRange for the values of a page.
func (p *predicate) matchPage(page *parquet.Page) (none, all bool) {
	if page.Empty {
		return true, false
	}
	if !page.Bounded {
		return false, false
	}
	none, all = p.matchRange(page.Low, page.High)
	return none, all && !page.Nulls
}

// dropDecided narrows each check to the rows that are left.
func (f *groupFilter) dropDecided() {
	var checks []check
	for _, c := range f.checks {
		if c.rows == nil {
			c.rows = f.rows
		}
		if c.rows = common(c.rows, f.rows); len(c.rows) > 0 {
			checks = append(checks, c)
		}
	}
	f.checks = checks
}

// maxDictionaryValues is how many values a predicate may have for dictionaries
// to be read before anything else: of more, one is mostly there.
const maxDictionaryValues = 64

// dictionariesMatch reports whether the dictionary of each column that must have
// one of a few values has one; false is certain.
func (f *groupFilter) dictionariesMatch(ctx context.Context) (may bool, err error) {
	for i := range f.checks {
		c := &f.checks[i]
		switch {
		case !c.picks():
			continue
		case c.text != nil:
			may, err = f.file.MayHaveText(ctx, f.index, c.field, c.text)
		default:
			may, err = f.file.MayHaveInt64(ctx, f.index, c.field, c.matches)
		}
		if err != nil || !may {
			return false, err
		}
	}
	return true, nil
}

// picks reports whether p lets through few values, so that few rows pass.
func (p *predicate) picks() bool {
	return p.text != nil || (p.values != nil && len(p.values) <= maxDictionaryValues)
}

// selective reports whether few rows are expected to pass, so that the columns of
// predicates are read first, and of the others only the pages of rows that pass.
func (f *groupFilter) selective() bool {
	return f.few || slices.ContainsFunc(f.checks, func(c check) bool { return c.picks() })
}

// fieldsToFetch returns the columns that are needed to find the rows, and, unless
// few are expected to pass, those of the batches.
func (f *groupFilter) fieldsToFetch(fields []int) []int {
	var out []int
	if !f.selective() {
		out = slices.Clone(fields)
	}
	for _, c := range f.checks {
		out = append(out, c.field)
	}
	return out
}

// missing returns those of fields whose values are not known yet.
func (f *groupFilter) missing(fields []int) []int {
	return slices.DeleteFunc(slices.Clone(fields), func(field int) bool { _, known := f.decoded[field]; return known })
}

// apply narrows the rows to those that pass every check.
func (f *groupFilter) apply(g *parquet.RowGroup) error {
	if len(f.checks) == 0 {
		return nil
	}
	verdicts := parquet.NewVerdicts(f.rows)
	for i := range f.checks {
		if err := f.applyCheck(g, &f.checks[i], &verdicts); err != nil {
			return err
		}
		if f.rows = verdicts.Rows(); len(f.rows) == 0 {
			return nil
		}
	}
	return nil
}

// applyCheck lets no row pass that fails c.
func (f *groupFilter) applyCheck(g *parquet.RowGroup, c *check, verdicts *parquet.Verdicts) error {
	rows := parquet.CloseTogether(common(c.rows, f.rows)) // all of these were fetched: see openGroup
	if c.text != nil {
		return g.FilterTexts(c.field, rows, verdicts, c.text)
	}
	numbers, err := g.FilterInt64s(c.field, rows, verdicts, c.matches)
	if err == nil && countRows(f.rows) <= countRows(common(f.rows, rows)) {
		f.decoded[c.field] = numbers
	}
	return err
}
