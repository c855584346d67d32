package main

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	sortFanIn  = 32        // default of diskSorter.fanIn
	sortBuffer = 64 << 10  // of each file that is read or written
	sortWindow = 256 << 10 // of the compression, which each open file holds
)

// diskSorter sorts any number of records by their first bytes. It holds limit bytes
// of them in memory and the rest in compressed files, which have no name: however
// the process ends, the system frees their space. It belongs to one goroutine.
type diskSorter struct {
	dir   string // of the files; "" is that of the system
	key   int    // bytes of each record by which it is sorted
	limit int    // bytes of records in memory
	fanIn int    // files of one level that are merged into one of the next; 0 means sortFanIn

	buf     []byte
	records []recordRef
	levels  [][]*os.File // sorted files; each of a level was merged from fanIn of the level below
}

// recordRef is a record in diskSorter.buf.
type recordRef struct{ start, end int }

// add adds a copy of record, which is not shorter than the key.
func (s *diskSorter) add(record []byte) error {
	start := len(s.buf)
	s.buf = append(s.buf, record...)
	s.records = append(s.records, recordRef{start, len(s.buf)})
	if len(s.buf)+16*len(s.records) < s.limit {
		return nil
	}
	return s.spill()
}

// all yields all records in order. A record is valid until the next one. Afterwards
// the sorter must be closed.
func (s *diskSorter) all() iter.Seq2[[]byte, error] {
	var inputs []iter.Seq2[[]byte, error]
	for _, level := range s.levels {
		for _, f := range level {
			inputs = append(inputs, readSorted(f))
		}
	}
	return mergeSorted(append(inputs, s.inMemory()), s.key)
}

// close frees the files.
func (s *diskSorter) close() {
	for _, level := range s.levels {
		for _, f := range level {
			_ = f.Close() // only read, and it has no name
		}
	}
	s.levels, s.buf, s.records = nil, nil, nil
}

// inMemory yields the records in memory in order.
func (s *diskSorter) inMemory() iter.Seq2[[]byte, error] {
	slices.SortStableFunc(s.records, func(a, b recordRef) int {
		return bytes.Compare(s.buf[a.start:a.start+s.key], s.buf[b.start:b.start+s.key])
	})
	return func(yield func([]byte, error) bool) {
		for _, r := range s.records {
			if !yield(s.buf[r.start:r.end], nil) {
				return
			}
		}
	}
}

// spill writes the records in memory to a file, and merges levels that are full.
func (s *diskSorter) spill() error {
	f, err := s.write(s.inMemory())
	if err != nil {
		return err
	}
	s.buf, s.records = s.buf[:0], s.records[:0]
	for level := 0; ; level++ {
		if level == len(s.levels) {
			s.levels = append(s.levels, nil)
		}
		s.levels[level] = append(s.levels[level], f)
		if len(s.levels[level]) < cmp.Or(s.fanIn, sortFanIn) {
			return nil
		}
		if f, err = s.mergeLevel(level); err != nil {
			return err
		}
	}
}

// mergeLevel makes one file of those of a level.
func (s *diskSorter) mergeLevel(level int) (*os.File, error) {
	var inputs []iter.Seq2[[]byte, error]
	for _, f := range s.levels[level] {
		inputs = append(inputs, readSorted(f))
	}
	merged, err := s.write(mergeSorted(inputs, s.key))
	if err != nil {
		return nil, err
	}
	for _, f := range s.levels[level] {
		_ = f.Close() // only read
	}
	s.levels[level] = nil
	return merged, nil
}

// write writes records to a new file: the length of each and its bytes, compressed.
func (s *diskSorter) write(records iter.Seq2[[]byte, error]) (_ *os.File, err error) {
	f, err := os.CreateTemp(s.dir, "weir-import-")
	if err != nil {
		return nil, fmt.Errorf("sort rows: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // err is what failed
			err = fmt.Errorf("sort rows in %s: %w; TMPDIR names another folder", f.Name(), err)
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(sortWindow))
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(z, sortBuffer)
	var size [binary.MaxVarintLen64]byte
	for record, err := range records {
		if err != nil {
			return nil, errors.Join(err, z.Close())
		}
		_, _ = out.Write(binary.AppendUvarint(size[:0], uint64(len(record)))) // Flush returns the error
		_, _ = out.Write(record)
	}
	return f, errors.Join(out.Flush(), z.Close())
}

// readSorted yields the records of a file. It may be called once for each file at a
// time.
func readSorted(f *os.File) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			yield(nil, fmt.Errorf("read sorted rows: %w", err))
			return
		}
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			yield(nil, fmt.Errorf("read sorted rows: %w", err))
			return
		}
		defer z.Close()
		in := bufio.NewReaderSize(z, sortBuffer)
		var record []byte
		for {
			size, err := binary.ReadUvarint(in)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil {
				record = slices.Grow(record[:0], int(size))[:size]
				_, err = io.ReadFull(in, record)
			}
			if err != nil {
				yield(nil, fmt.Errorf("read sorted rows: %w", err))
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// sortedInput is one input of a merge, at its next record.
type sortedInput struct {
	next   func() ([]byte, error, bool)
	record []byte
	order  int // among the inputs; of equal records the one of the first input comes first
}

// sortedInputs is the heap of a merge.
type sortedInputs struct {
	items []*sortedInput
	key   int
}

func (h *sortedInputs) Len() int { return len(h.items) }
func (h *sortedInputs) Less(i, j int) bool {
	a, b := h.items[i], h.items[j]
	c := bytes.Compare(a.record[:h.key], b.record[:h.key])
	return c < 0 || c == 0 && a.order < b.order
}
func (h *sortedInputs) Swap(i, j int) { h.items[i], h.items[j] = h.items[j], h.items[i] }

// Push is never called: inputs only leave the heap.
func (*sortedInputs) Push(any) {}

// Pop removes the last input.
func (h *sortedInputs) Pop() any {
	h.items = h.items[:len(h.items)-1]
	return nil
}

// mergeSorted yields the records of sorted inputs in order.
func mergeSorted(inputs []iter.Seq2[[]byte, error], key int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		h := &sortedInputs{key: key}
		for i, input := range inputs {
			next, stop := iter.Pull2(input)
			defer stop()
			in := &sortedInput{next: next, order: i}
			record, err, more := next()
			if err != nil {
				yield(nil, err)
				return
			}
			if more {
				in.record = record
				h.items = append(h.items, in)
			}
		}
		heap.Init(h)
		for len(h.items) > 0 {
			first := h.items[0]
			if !yield(first.record, nil) {
				return
			}
			record, err, more := first.next()
			switch {
			case err != nil:
				yield(nil, err)
				return
			case more:
				first.record = record
				heap.Fix(h, 0)
			default:
				heap.Pop(h)
			}
		}
	}
}
