package parquet

// Limits of a row group. A scan or a merge holds one row group of each file in
// memory, and leaves out whole row groups by their bounds, so larger ones would
// cost memory and rule out less. Smaller ones would repeat dictionaries and
// footer entries, and take more requests to read.
const (
	maxRowGroupRows  = 64 << 10
	maxRowGroupBytes = 32 << 20 // of uncompressed strings; other columns are bounded by the rows
)

// Limits of a page. Readers decode one page of a column at a time, and a scan
// skips whole pages by the page index: of a file that spans years, one month's
// rows lie in short runs, one for each product and day. BenchmarkPruning says
// what smaller pages save.
const (
	maxPageBytes = 128 << 10 // of strings, uncompressed
	maxPageRows  = 4 << 10
)
