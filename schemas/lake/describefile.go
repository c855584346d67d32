package lake

import (
	"fmt"

	"github.com/apache/iceberg-go"

	"weir/schemas/lake/parquet"
)

// describe returns the Iceberg data file of what an encoder wrote to key.
func (l *Lake) describe(t Table, key string, by *division, partition int32, m *parquet.Metrics) (DataFile, error) {
	b, err := iceberg.NewDataFileBuilder(by.spec, iceberg.EntryContentData, l.uri(key), iceberg.ParquetFile,
		by.partitionData(partition), nil, nil, m.Rows, m.Bytes)
	if err != nil {
		return DataFile{}, fmt.Errorf("describe data file %s: %w", key, err)
	}
	file := b.ColumnSizes(m.Sizes).ValueCounts(m.Values).NullValueCounts(m.Nulls).
		LowerBoundValues(m.Lower).UpperBoundValues(m.Upper).
		SplitOffsets(m.Splits).SortOrderID(sortOrderID).Build()
	return l.tables[t].bounds.newDataFile(file)
}
