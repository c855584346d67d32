package parquet

import (
	"context"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// MayHaveInt64 reports whether a column of a row group may have an integer that
// matches. It fetches the column's dictionary and nothing else; false is certain.
func (f *File) MayHaveInt64(ctx context.Context, group, field int, matches func(int64) bool) (bool, error) {
	return f.mayHave(ctx, group, field, parquet.Int64, func(v encoding.Values, _ int) bool {
		return slices.ContainsFunc(v.Int64(), matches)
	})
}

// MayHaveText is MayHaveInt64 for texts; null is "".
func (f *File) MayHaveText(ctx context.Context, group, field int, matches func(string) bool) (bool, error) {
	if f.chunk(group, f.leaf[field]).Node().Optional() && matches("") {
		return true, nil
	}
	return f.mayHave(ctx, group, field, parquet.ByteArray, func(v encoding.Values, n int) bool {
		raw, ends := byteArrays(v)
		for i := range n {
			if matches(string(raw[ends[i]:ends[i+1]])) {
				return true
			}
		}
		return false
	})
}

// mayHave reports what matches says of the dictionary of a column; true where
// not every value of the column is in it.
func (f *File) mayHave(ctx context.Context, group, field int, kind parquet.Kind, matches func(v encoding.Values, n int) bool) (may bool, err error) {
	leaf := f.leaf[field]
	chunk := f.chunk(group, leaf)
	m := &f.file.Metadata().RowGroups[group].Columns[leaf].MetaData
	if chunk.Type().Kind() != kind || !hasWholeDictionary(m) {
		return true, nil
	}
	body, err := f.fetchRange(ctx, byteRange{from: m.DictionaryPageOffset, size: m.DataPageOffset - m.DictionaryPageOffset})
	if err != nil {
		return false, fmt.Errorf("read dictionary: %w", err)
	}
	pages := chunk.PagesFrom(&body)
	defer func() {
		if errClose := pages.Close(); err == nil {
			err = errClose
		}
	}()
	dict, err := pages.ReadDictionary()
	if err != nil {
		return false, fmt.Errorf("read dictionary: %w", err)
	}
	return dict == nil || matches(dict.Page().Data(), dict.Len()), nil
}

// hasWholeDictionary reports whether a column's dictionary is known to have
// every value: writers may go on without one where it gets too large, and few
// say so by the encodings of pages.
func hasWholeDictionary(m *format.ColumnMetaData) bool {
	if m.DictionaryPageOffset <= 0 || m.DataPageOffset <= m.DictionaryPageOffset {
		return false
	}
	dictionaryEncoded := false
	for _, s := range m.EncodingStats {
		switch {
		case s.PageType == format.DictionaryPage:
		case s.Encoding == format.RLEDictionary || s.Encoding == format.PlainDictionary: //nolint:staticcheck // other writers still use it
			dictionaryEncoded = true
		default:
			return false
		}
	}
	return dictionaryEncoded
}
