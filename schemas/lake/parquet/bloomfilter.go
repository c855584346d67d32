package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// bloomBits is how many bits a bloom filter has for each value: about one value in a
// hundred that a row group lacks seems to be in it.
const bloomBits = 10

// addHashes adds the strings of rows to the bloom filter of the row group.
func (c *columnWriter) addHashes(rows []RowRef) {
	for _, r := range rows {
		if s := &c.arrays[r.Batch]; !s.isNull(r.Row) {
			c.hashes = append(c.hashes, xxhash.Sum64(s.value(int32(r.Row))))
		}
	}
}

// writeBloomFilter writes the split-block bloom filter of a column of the row group, and
// states its place in m. See "Bloom Filter" of the Parquet format.
func (e *Encoder) writeBloomFilter(c *columnWriter, m *format.ColumnMetaData) error {
	if len(c.hashes) == 0 {
		return nil
	}
	filter := make(bloom.SplitBlockFilter, bloom.NumSplitBlocksOf(int64(len(c.hashes)), bloomBits))
	filter.InsertBulk(c.hashes)
	c.hashes = c.hashes[:0]
	header, err := thrift.Marshal(new(thrift.CompactProtocol), &format.BloomFilterHeader{
		NumBytes:    int32(len(filter.Bytes())),
		Algorithm:   format.BloomFilterAlgorithm{Value: &format.SplitBlockAlgorithm{}},
		Hash:        format.BloomFilterHash{Value: &format.XxHash{}},
		Compression: format.BloomFilterCompression{Value: &format.BloomFilterUncompressed{}},
	})
	if err != nil {
		return fmt.Errorf("write bloom filter of %s: %w", c.field.Name, err)
	}
	m.BloomFilterOffset, m.BloomFilterLength = e.out.size, int32(len(header)+len(filter.Bytes()))
	for _, part := range [][]byte{header, filter.Bytes()} {
		if _, err := e.out.Write(part); err != nil {
			return fmt.Errorf("write bloom filter of %s: %w", c.field.Name, err)
		}
	}
	return nil
}
