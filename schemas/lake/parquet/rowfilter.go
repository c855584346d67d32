package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// Verdicts says which rows of a row group pass, of consecutive ones.
type Verdicts struct {
	From int // the first row
	Pass []bool
}

// NewVerdicts returns verdicts that let through rows and nothing between them. There
// must be some.
func NewVerdicts(rows []RowRange) Verdicts {
	last := rows[len(rows)-1]
	v := Verdicts{From: rows[0].From, Pass: make([]bool, last.From+last.N-rows[0].From)}
	for _, r := range rows {
		pass := v.Pass[r.From-v.From:][:r.N]
		for i := range pass {
			pass[i] = true
		}
	}
	return v
}

// Rows returns the rows that pass.
func (v *Verdicts) Rows() []RowRange {
	var out []RowRange
	for i := 0; i < len(v.Pass); i++ {
		if !v.Pass[i] {
			continue
		}
		from := i
		for i < len(v.Pass) && v.Pass[i] {
			i++
		}
		out = append(out, RowRange{From: v.From + from, N: i - from})
	}
	return out
}

// Int64s has values of consecutive rows of a column.
type Int64s struct {
	From   int // the first row
	Values []int64
}

// FilterInt64s reads a column of integers in rows, which v has all, and lets no row
// of them pass that has no value or one that does not match. It returns the values of
// rows that pass; what else is there means nothing. A value of a dictionary is judged
// once.
func (g *RowGroup) FilterInt64s(field int, rows []RowRange, v *Verdicts, matches func(int64) bool) (out Int64s, err error) {
	out = Int64s{From: v.From, Values: make([]int64, len(v.Pass))}
	err = g.forEachPage(field, rows, func(c *cursor) func(from int, p pageRows) error {
		f := &int64Filter{cursor: c, matches: matches, ints: newInt32Decoder(c), longs: newInt64Decoder(c)}
		return func(from int, p pageRows) error {
			from -= v.From
			return f.filter(out.Values[from:from+p.rows], v.Pass[from:from+p.rows], p)
		}
	})
	return out, err
}

// FilterTexts is FilterInt64s for a column of texts, the values of which it does not
// return; null is "".
func (g *RowGroup) FilterTexts(field int, rows []RowRange, v *Verdicts, matches func(string) bool) error {
	return g.forEachPage(field, rows, func(c *cursor) func(from int, p pageRows) error {
		f := &textFilter{cursor: c, matches: matches}
		return func(from int, p pageRows) error { return f.filter(v.Pass[from-v.From:][:p.rows], p) }
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
		f.codes.filter(pass, f.data.Int32()[p.firstValue:], func(i int) bool { return f.matches(out[i]) })
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
	if dict := f.page.Dictionary(); dict != nil && p.levels == nil {
		f.codes.reset(dict)
		codes := f.data.Int32()[p.firstValue:]
		f.codes.filter(pass, codes, func(i int) bool { return f.matches(dictionaryText(dict, codes[i])) })
		return nil
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
	return f.codes.passes(code, func() bool { return f.matches(dictionaryText(dict, code)) })
}

// dictionaryText returns the text of a code.
func dictionaryText(dict parquet.Dictionary, code int32) string {
	raw, ends := byteArrays(dict.Page().Data())
	return string(raw[ends[code]:ends[code+1]])
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

// filter clears pass where the code of a row does not match; judge says so of the
// value of row i. It is the loop over all rows of a scan, hence written out.
func (c *codeVerdicts) filter(pass []bool, codes []int32, judge func(i int) bool) {
	known := c.byCode
	for i, code := range codes[:len(pass)] {
		if !pass[i] {
			continue
		}
		if known[code] == unjudged {
			c.passes(code, func() bool { return judge(i) })
		}
		pass[i] = known[code] == matching
	}
}

// null reports whether null matches, which is "".
func (c *codeVerdicts) null(matches func(string) bool) bool {
	return c.ofNull.of(func() bool { return matches("") })
}
