package parquet

// Limits of the parts of a data file. A scan or a merge holds one row group of a
// file in memory, and decodes one page of a column at a time.
const (
	maxRowGroupRows  = 64 << 10
	maxRowGroupBytes = 32 << 20  // of uncompressed strings
	maxPageBytes     = 128 << 10 // of strings, uncompressed
	maxPageRows      = 16 << 10
)
