package main

import "testing"

func TestMemoryLimit(t *testing.T) {
	var cfg Config
	settings, _ := listSettings(&cfg)
	if err := setDefaults(settings); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    roles
		want int64 // MiB
	}{
		{"all", roles{ingest: true, processor: true, query: true}, 448},
		{"ingest", roles{ingest: true}, 192 + 256},
		{"processor", roles{processor: true}, 192 + 144 + 64},
		{"query", roles{query: true}, 192 + 4*48 + 64},
	} {
		if got := cfg.memoryLimit(c.r) >> 20; got != c.want {
			t.Errorf("%s: %d MiB, want %d", c.name, got, c.want)
		}
		set := cfg
		set.Memory.Limit = 100 << 20
		if got := set.memoryLimit(c.r) >> 20; got != 100 {
			t.Errorf("%s with memory.limit 100MiB: %d MiB", c.name, got)
		}
	}
}
