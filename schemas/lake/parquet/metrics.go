package parquet

import (
	"bytes"
	"encoding/binary"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/format"
)

// maxBoundBytes is the longest string that goes to the manifests as a bound.
const maxBoundBytes = 64

// Metrics are the counts, sizes and bounds of a data file that Iceberg keeps in
// its manifests. The keys of maps are field ids.
type Metrics struct {
	Rows, Bytes          int64
	Sizes, Values, Nulls map[int]int64
	Lower, Upper         map[int][]byte // bounds, as Parquet and Iceberg both write them; only of columns with Bounds
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
	for id, v := range m.Lower {
		if len(v) > maxBoundBytes || len(m.Upper[id]) > maxBoundBytes { // an upper bound that is cut short would be too low
			delete(m.Lower, id)
			delete(m.Upper, id)
		}
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

// boundLess orders bounds of a column of type t: integers by value, strings by
// their bytes.
func boundLess(t arrow.DataType, a, b []byte) bool {
	switch t.ID() {
	case arrow.INT64, arrow.INT32, arrow.DATE32, arrow.TIMESTAMP:
		return DecodeBound(a) < DecodeBound(b)
	default:
		return bytes.Compare(a, b) < 0
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
