package main

// Memory that a process needs beside what its settings bound: code, connections,
// buffers of files that are written and read; bytes.
const (
	allMemory  = 448 << 20 // of `weir all` as a whole: its parts are rarely at their bounds at once
	baseMemory = 192 << 20
)

// memoryLimit returns the soft limit of the Go heap, in bytes. Without
// memory.limit it follows from the bounds of the services that the process runs:
// a limit far below what they may hold would make the collector run all the time.
func (c *Config) memoryLimit(r roles) int64 {
	if c.Memory.Limit > 0 {
		return int64(c.Memory.Limit)
	}
	if r.ingest && r.processor && r.query {
		return allMemory
	}
	limit := int64(baseMemory)
	if r.ingest {
		limit += int64(c.Ingest.MaxHeldBytes)
	}
	if r.processor {
		limit += int64(c.Processor.GatherBytes + c.Processor.DedupeBytes)
	}
	if r.query {
		limit += 4*int64(c.Query.ReportBytes) + int64(c.Lake.FooterBytes)
	}
	return limit
}
