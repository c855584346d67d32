package export

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func member(workers int) Member {
	return Member{Name: "data.csv", Modified: time.Date(2024, 3, 2, 1, 2, 4, 0, time.UTC), Level: 1, Workers: workers}
}

// write fills in pieces of odd sizes, as rows come.
func write(content []byte) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		for len(content) > 0 {
			n := min(len(content), 100_003)
			if _, err := w.Write(content[:n]); err != nil {
				return err
			}
			content = content[n:]
		}
		return nil
	}
}

func TestZipReadsBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, zipBlockBytes - 1, zipBlockBytes, zipBlockBytes + 1, 3*zipBlockBytes + 77, 9 * zipBlockBytes}
	for range 5 {
		sizes = append(sizes, rng.IntN(4*zipBlockBytes))
	}
	for n, size := range sizes {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(rng.UintN(4 << (n % 7))) // from text-like to noise
		}
		m := member(1 + n%4)
		var out bytes.Buffer
		sizes, err := WriteZip(t.Context(), &out, m, write(content))
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		checkZip(t, out.Bytes(), m, content)
		if sizes.Raw != int64(size) {
			t.Errorf("%d bytes: raw size = %d", size, sizes.Raw)
		}
	}
}

func checkZip(t *testing.T, archive []byte, m Member, content []byte) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatalf("%d bytes: open: %v", len(content), err)
	}
	if len(r.File) != 1 {
		t.Fatalf("%d bytes: %d members, want 1", len(content), len(r.File))
	}
	f := r.File[0]
	if f.Name != m.Name || !f.Modified.Equal(m.Modified) || f.UncompressedSize64 != uint64(len(content)) {
		t.Errorf("member = %s, %v, %d bytes; want %s, %v, %d", f.Name, f.Modified, f.UncompressedSize64, m.Name, m.Modified, len(content))
	}
	body, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body) // checks the CRC and the descriptor
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes: read back %d, equal %v, %v", len(content), len(got), bytes.Equal(got, content), err)
	}
}

// hugeZip is an archive of which only both ends are in memory; between them
// are zeros.
type hugeZip struct {
	head, tail []byte
	size       int64
}

func (h hugeZip) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		at := off + int64(i)
		p[i] = 0
		if at < int64(len(h.head)) {
			p[i] = h.head[at]
		}
		if back := h.size - at; back <= int64(len(h.tail)) && back > 0 {
			p[i] = h.tail[int64(len(h.tail))-back]
		}
	}
	if off+int64(len(p)) > h.size {
		return int(h.size - off), io.EOF
	}
	return len(p), nil
}

func TestZipBeyond4GiB(t *testing.T) {
	for _, s := range []Sizes{
		{Raw: zipMax32 - 1, Packed: 1 << 30, CRC: 7},
		{Raw: zipMax32, Packed: 1 << 30, CRC: 7},
		{Raw: 70 << 30, Packed: 5 << 30, CRC: 7},
		{Raw: zipMax32 - 1, Packed: zipMax32 - 1, CRC: 7}, // the directory alone lies beyond
	} {
		t.Run(fmt.Sprintf("%d in %d", s.Raw, s.Packed), func(t *testing.T) {
			m := member(1)
			head, tail := m.localHeader(), m.trailer(nil, s)
			archive := hugeZip{head: head, tail: tail, size: int64(len(head)+len(tail)) + s.Packed}
			r, err := zip.NewReader(archive, archive.size)
			if err != nil {
				t.Fatal(err)
			}
			f := r.File[0]
			if f.UncompressedSize64 != uint64(s.Raw) || f.CompressedSize64 != uint64(s.Packed) || f.CRC32 != s.CRC {
				t.Errorf("sizes = %d, %d, crc %d; want %d, %d, 7", f.UncompressedSize64, f.CompressedSize64, f.CRC32, s.Raw, s.Packed)
			}
			if at, err := f.DataOffset(); err != nil || at != int64(len(head)) {
				t.Errorf("data at %d, %v; want %d", at, err, len(head))
			}
		})
	}
}

// TestZipStops proves that no way of failing leaves a goroutine behind: the
// bubble would not end.
func TestZipStops(t *testing.T) {
	errBoom := errors.New("boom")
	endless := func(_ context.Context, w io.Writer) error {
		block := make([]byte, 1<<16)
		for {
			if _, err := w.Write(block); err != nil {
				return err
			}
		}
	}
	cases := map[string]struct {
		out  io.Writer
		fill func(context.Context, io.Writer) error
		want error
	}{
		"rows fail": {io.Discard, func(_ context.Context, w io.Writer) error {
			_, _ = w.Write(make([]byte, 3*zipBlockBytes+5))
			return errBoom
		}, errBoom},
		"rows end with EOF as their error": {io.Discard, func(context.Context, io.Writer) error { return io.EOF }, io.EOF},
		"store fails at once":              {&failing{0, errBoom}, endless, errBoom},
		"store fails later":                {&failing{20_000, errBoom}, endless, errBoom},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, err := WriteZip(t.Context(), c.out, member(2), c.fill); !errors.Is(err, c.want) {
					t.Errorf("err = %v, want %v", err, c.want)
				}
			})
		})
	}
	t.Run("asker goes away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { time.Sleep(time.Second); cancel() }()
			stuck := func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return ctx.Err() }
			if _, err := WriteZip(ctx, io.Discard, member(2), stuck); !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v, want %v", err, context.Canceled)
			}
		})
	})
	t.Run("level out of range", func(t *testing.T) {
		m := member(1)
		m.Level = 42
		if _, err := WriteZip(t.Context(), io.Discard, m, endless); err == nil {
			t.Error("level 42 was taken")
		}
	})
}

// failing is a store that takes so many bytes.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	f.left -= len(p)
	if f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}
