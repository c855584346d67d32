package lake

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/iceberg-go"
	"github.com/parquet-go/parquet-go/format"
)

// maxBoundBytes is the longest string that goes to the manifests as a bound.
const maxBoundBytes = 64

// describe makes the Iceberg data file of what an encoder wrote to key. Counts
// and bounds are those of the footer.
func (l *Lake) describe(t Table, key string, partition int32, size int64, meta *format.FileMetaData) (DataFile, error) {
	st := l.tables[t]
	b, err := iceberg.NewDataFileBuilder(st.spec, iceberg.EntryContentData, l.uri(key), iceberg.ParquetFile,
		map[int]any{partitionFieldID: partition}, nil, nil, meta.NumRows, size)
	if err != nil {
		return DataFile{}, fmt.Errorf("describe data file %s: %w", key, err)
	}
	m := footerMetrics(st.columns.Fields(), meta)
	file := b.ColumnSizes(m.sizes).ValueCounts(m.values).NullValueCounts(m.nulls).
		LowerBoundValues(m.lower).UpperBoundValues(m.upper).
		SplitOffsets(m.splits).SortOrderID(sortOrderID).Build()
	return st.bounds.newDataFile(file)
}

// fileMetrics are the metrics of a data file, by field id.
type fileMetrics struct {
	sizes, values, nulls map[int]int64
	lower, upper         map[int][]byte
	splits               []int64
}

func footerMetrics(fields []arrow.Field, meta *format.FileMetaData) fileMetrics {
	m := fileMetrics{
		sizes: map[int]int64{}, values: map[int]int64{}, nulls: map[int]int64{},
		lower: map[int][]byte{}, upper: map[int][]byte{},
	}
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		m.splits = append(m.splits, g.FileOffset)
		for j := range g.Columns {
			id, c := j+1, &g.Columns[j].MetaData
			m.sizes[id] += c.TotalCompressedSize
			m.values[id] += c.NumValues
			m.nulls[id] += c.Statistics.NullCount
			if hasBounds(fields[j]) {
				m.widen(id, fields[j].Type, &c.Statistics)
			}
		}
	}
	for id, v := range m.lower {
		if len(v) > maxBoundBytes || len(m.upper[id]) > maxBoundBytes { // a cut upper bound would be too low
			delete(m.lower, id)
			delete(m.upper, id)
		}
	}
	return m
}

// widen takes the bounds of a row group into those of the file. Iceberg and
// Parquet write numbers and strings alike.
func (m *fileMetrics) widen(id int, t arrow.DataType, s *format.Statistics) {
	if s.MinValue == nil || s.MaxValue == nil { // nothing but nulls
		return
	}
	if low, ok := m.lower[id]; !ok || boundLess(t, s.MinValue, low) {
		m.lower[id] = bytes.Clone(s.MinValue)
	}
	if high, ok := m.upper[id]; !ok || boundLess(t, high, s.MaxValue) {
		m.upper[id] = bytes.Clone(s.MaxValue)
	}
}

func boundLess(t arrow.DataType, a, b []byte) bool {
	switch t.ID() {
	case arrow.INT64, arrow.INT32, arrow.DATE32, arrow.TIMESTAMP:
		return decodeBound(a) < decodeBound(b)
	default:
		return bytes.Compare(a, b) < 0
	}
}
