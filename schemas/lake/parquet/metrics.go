package parquet

import (
	"bytes"
	"encoding/binary"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/format"
)

// Metrics are the counts, sizes and bounds of a data file that Iceberg keeps in
// its manifests. The keys of maps are field ids.
type Metrics struct {
	Rows, Bytes          int64
	Sizes, Values, Nulls map[int]int64
	Lower, Upper         map[int][]byte // bounds, as Iceberg writes them; only of columns with Bounds
	Splits               []int64        // where row groups begin
}

// metricsOf adds up the metrics of the row groups.
func metricsOf(columns []columnWriter, meta *format.FileMetaData, bytes int64) *Metrics {
	m := &Metrics{
		Rows: meta.NumRows, Bytes: bytes,
		Sizes: map[int]int64{}, Values: map[int]int64{}, Nulls: map[int]int64{},
		Lower: map[int][]byte{}, Upper: map[int][]byte{},
	}
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		m.Splits = append(m.Splits, g.FileOffset)
		for j := range g.Columns {
			id, c := j+1, &g.Columns[j].MetaData
			m.Sizes[id] += c.TotalCompressedSize
			m.Values[id] += c.NumValues
			m.Nulls[id] += c.Statistics.NullCount
			if columns[j].bounds {
				m.widen(id, columns[j].field.Type, &c.Statistics)
			}
		}
	}
	for i := range columns {
		m.finishBounds(i+1, columns[i].field.Type)
	}
	return m
}

// widen extends the bounds of the file by those of a row group.
func (m *Metrics) widen(id int, t arrow.DataType, s *format.Statistics) {
	if s.MinValue == nil || s.MaxValue == nil { // all rows are null
		return
	}
	if low, ok := m.Lower[id]; !ok || boundLess(t, s.MinValue, low) {
		m.Lower[id] = bytes.Clone(s.MinValue)
	}
	if high, ok := m.Upper[id]; !ok || boundLess(t, high, s.MaxValue) {
		m.Upper[id] = bytes.Clone(s.MaxValue)
	}
}

// finishBounds turns the bounds of a column into those that Iceberg takes.
func (m *Metrics) finishBounds(id int, t arrow.DataType) {
	low, high := m.Lower[id], m.Upper[id]
	if low == nil || high == nil {
		return
	}
	m.Lower[id], m.Upper[id] = icebergBound(t, low), icebergBound(t, high)
	if len(high) > maxBoundBytes { // text that could not be cut: see cutHigh
		delete(m.Upper, id)
	}
}

// DecodeBound returns the value of a bound of a 32- or 64-bit integer column,
// which is its little-endian bytes; 0 for anything else.
func DecodeBound(b []byte) int64 {
	switch len(b) {
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case 8:
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}
