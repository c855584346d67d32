package lake

import (
	"fmt"

	"github.com/apache/iceberg-go"

	"weir/schemas/lake/parquet"
)

// describe returns the Iceberg data file of what an encoder wrote to key.
func (l *Lake) describe(t Table, key string, partition int32, m *parquet.Metrics) (DataFile, error) {
	st := l.tables[t]
	b, err := iceberg.NewDataFileBuilder(st.spec, iceberg.EntryContentData, l.uri(key), iceberg.ParquetFile,
		map[int]any{partitionFieldID: partition}, nil, nil, m.Rows, m.Bytes)
	if err != nil {
		return DataFile{}, fmt.Errorf("describe data file %s: %w", key, err)
	}
	file := b.ColumnSizes(m.Sizes).ValueCounts(m.Values).NullValueCounts(m.Nulls).
		LowerBoundValues(m.Lower).UpperBoundValues(m.Upper).
		SplitOffsets(m.Splits).SortOrderID(sortOrderID).Build()
	return st.bounds.newDataFile(file)
}
