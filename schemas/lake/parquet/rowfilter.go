package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// FilterInt64s reads a column of integers in rows, and clears pass where a row has
// no value or one that does not match. out has the values of rows that pass; what
// else it has means nothing. A value of a dictionary is judged once.
func (g *RowGroup) FilterInt64s(field int, rows []RowRange, pass []bool, matches func(int64) bool) (out []int64, err error) {
	out = make([]int64, g.Rows())
	err = g.forEachPage(field, rows, func(c *cursor) func(from int, p pageRows) error {
		f := &int64Filter{cursor: c, matches: matches, ints: newInt32Decoder(c), longs: newInt64Decoder(c)}
		return func(from int, p pageRows) error {
			return f.filter(out[from:from+p.rows], pass[from:from+p.rows], p)
		}
	})
	return out, err
}

// FilterTexts clears pass where the text of a row of rows does not match; null is
// "". A value of a dictionary is judged once.
func (g *RowGroup) FilterTexts(field int, rows []RowRange, pass []bool, matches func(string) bool) error {
	return g.forEachPage(field, rows, func(c *cursor) func(from int, p pageRows) error {
		f := &textFilter{cursor: c, matches: matches}
		return func(from int, p pageRows) error { return f.filter(pass[from:from+p.rows], p) }
	})
}

// forEachPage calls what open returns for each page of rows of a column, with the
// first row of it.
func (g *RowGroup) forEachPage(field int, rows []RowRange, open func(*cursor) func(from int, p pageRows) error) (err error) {
	c := g.cursor(g.file.leaf[field])
	defer func() {
		if errClose := c.close(); err == nil {
			err = errClose
		}
	}()
	take := open(c)
	for _, r := range rows {
		from := r.From
		err := c.forEachPage(int64(r.From), r.N, func(p pageRows) error {
			err := take(from, p)
			from += p.rows
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// int64Filter judges the rows of pages of integers.
type int64Filter struct {
	*cursor

	matches func(int64) bool
	ints    *integerDecoder[int32]
	longs   *integerDecoder[int64]
	codes   codeVerdicts
}

// filter puts the values of p into out, and clears pass where they do not match.
func (f *int64Filter) filter(out []int64, pass []bool, p pageRows) error {
	var err error
	switch f.page.Type().Kind() {
	case parquet.Int64:
		err = f.longs.decode(out[:p.values], p)
	case parquet.Int32:
		values := make([]int32, p.values)
		err = f.ints.decode(values, p)
		for i, v := range values {
			out[i] = int64(v)
		}
	default:
		err = fmt.Errorf("column is %s, want numbers", f.page.Type())
	}
	if err != nil {
		return err
	}
	if f.page.Dictionary() != nil && p.levels == nil {
		f.codes.reset(f.page.Dictionary())
		for i, code := range f.data.Int32()[p.firstValue : p.firstValue+p.rows] {
			pass[i] = pass[i] && f.codes.passes(code, func() bool { return f.matches(out[i]) })
		}
		return nil
	}
	spreadNulls(out, p)
	for i, v := range out {
		pass[i] = pass[i] && (p.levels == nil || p.levels[i] != 0) && f.matches(v)
	}
	return nil
}

// textFilter judges the rows of pages of texts.
type textFilter struct {
	*cursor

	matches func(string) bool
	codes   codeVerdicts
	of      parquet.Page // that text is of
	text    string       // all values of a page without a dictionary, so that each need not be copied by itself
}

// filter clears pass where the values of p do not match.
func (f *textFilter) filter(pass []bool, p pageRows) error {
	if f.page.Type().Kind() != parquet.ByteArray {
		return fmt.Errorf("column is %s, want texts", f.page.Type())
	}
	next := p.firstValue
	for i := range pass {
		if p.levels != nil && p.levels[i] == 0 {
			pass[i] = pass[i] && f.codes.null(f.matches)
			continue
		}
		pass[i] = pass[i] && f.value(next)
		next++
	}
	return nil
}

// value reports whether a value of the page matches.
func (f *textFilter) value(i int) bool {
	dict := f.page.Dictionary()
	if dict == nil {
		raw, ends := byteArrays(f.data)
		if f.of != f.page {
			f.of, f.text = f.page, string(raw)
		}
		return f.matches(f.text[ends[i]:ends[i+1]])
	}
	f.codes.reset(dict)
	code := f.data.Int32()[i]
	return f.codes.passes(code, func() bool {
		raw, ends := byteArrays(dict.Page().Data())
		return f.matches(string(raw[ends[code]:ends[code+1]]))
	})
}

// codeVerdicts remembers which codes of a dictionary match.
type codeVerdicts struct {
	dict   parquet.Dictionary
	byCode []verdict
	ofNull verdict
}

// verdict says whether a value matches.
type verdict int8

const (
	unjudged verdict = iota
	matching
	failing
)

// of returns v, or what judge says if v is none yet.
func (v *verdict) of(judge func() bool) bool {
	if *v == unjudged {
		*v = failing
		if judge() {
			*v = matching
		}
	}
	return *v == matching
}

// reset forgets the verdicts if dict is another dictionary.
func (c *codeVerdicts) reset(dict parquet.Dictionary) {
	if dict != c.dict {
		c.dict, c.byCode = dict, make([]verdict, dict.Len())
	}
}

// passes reports whether the value of code matches.
func (c *codeVerdicts) passes(code int32, judge func() bool) bool { return c.byCode[code].of(judge) }

// null reports whether null matches, which is "".
func (c *codeVerdicts) null(matches func(string) bool) bool {
	return c.ofNull.of(func() bool { return matches("") })
}
