package lake

// Filter says which rows a scan yields. The zero Filter yields all.
type Filter struct {
	Products    []int64         // any of them; nil is every product, empty is none
	Clients     []int64         // any of them; nil is every client, empty is none
	TimeFrom    int64           // event time in epoch milliseconds, inclusive; 0 is open
	TimeTo      int64           // exclusive; 0 is open. Of daily rollups the day must start in the range
	ArrivalFrom int64           // log time in epoch milliseconds, inclusive; 0 is open
	ArrivalTo   int64           // exclusive; 0 is open
	Shard       *int32          // nil is every shard
	OffsetFrom  map[int32]int64 // by shard, inclusive; a shard that is absent is open
	OffsetTo    map[int32]int64 // by shard, exclusive; a shard that is absent is open
}

// Prune returns those of files that may have a row of f. Bounds that a table
// lacks prune nothing.
func Prune(files []DataFile, f Filter) []DataFile { return files }
