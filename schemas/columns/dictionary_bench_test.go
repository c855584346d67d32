package columns

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// dictionaryRows are values as a column of events has them: few distinct ones,
// in runs.
func dictionaryRows() []string {
	rows := make([]string, 8192)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"prodVersion":"1.%d.0","os.platform":"Linux"}`, i/5%300)
	}
	return rows
}

// BenchmarkDictionaryBuilder appends a batch of one column.
func BenchmarkDictionaryBuilder(b *testing.B) {
	rows := dictionaryRows()
	c := NewDictionaryBuilder(memory.DefaultAllocator)
	defer c.Release()
	b.ReportAllocs()
	for b.Loop() {
		for _, row := range rows {
			c.Append(row)
		}
		c.NewArray().Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

// BenchmarkArrowDictionaryBuilder is the same by Arrow's own builder.
func BenchmarkArrowDictionaryBuilder(b *testing.B) {
	rows := dictionaryRows()
	c := array.NewBuilder(memory.DefaultAllocator, DictionaryType()).(*array.BinaryDictionaryBuilder)
	defer c.Release()
	b.ReportAllocs()
	for b.Loop() {
		for _, row := range rows {
			if err := c.AppendString(row); err != nil {
				b.Fatal(err)
			}
		}
		c.NewArray().Release()
		c.ResetFull()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}
