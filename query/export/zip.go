package export

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sync/errgroup"
)

const (
	zipBlockBytes = 1 << 20    // of content, compressed on its own; 1 MiB loses 0.1 % against one long stream
	deflateEnd    = "\x03\x00" // an empty last block, which completes the stream of the blocks before it
)

// Member is the one file of an archive.
type Member struct {
	Name     string
	Modified time.Time
	Level    int // of deflate, 1 to 9
	Workers  int // blocks compressed at once
}

// Sizes are the figures of an archive.
type Sizes struct {
	Raw    int64 // bytes of content
	Packed int64 // bytes of content, compressed
	CRC    uint32
}

// WriteZip writes an archive of one member to out, as a stream. It divides what
// fill writes into blocks and compresses them concurrently and independent of one
// another; their outputs in order are one valid deflate stream. At most
// 2·Workers+1 blocks are in memory.
//
// If fill or out fails, everything stops and WriteZip returns the error; the
// archive then has no directory, so that no reader accepts it. All goroutines have
// ended when WriteZip returns.
func WriteZip(ctx context.Context, out io.Writer, m Member, fill func(context.Context, io.Writer) error) (Sizes, error) {
	g, ctx := errgroup.WithContext(ctx)
	l := newZipPipeline(ctx, m)
	g.Go(func() error {
		if err := fill(ctx, l); err != nil {
			return err
		}
		return l.end()
	})
	for range m.Workers {
		g.Go(func() error { return l.deflate(m.Level) })
	}
	var sizes Sizes
	g.Go(func() (err error) {
		sizes, err = l.collect(out, m)
		return err
	})
	return sizes, g.Wait()
}

// zipBlock is a piece of the content. It has one owner at a time: the filler, then
// one worker, then the collector, and then it is free again.
type zipBlock struct {
	raw    []byte
	packed []byte
	ready  chan struct{} // has one element when packed is complete
}

// zipPipeline passes blocks from the filler to the workers and, in the order of
// filling, to the collector.
type zipPipeline struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one call of WriteZip; io.Writer has no parameter for it
	free  chan *zipBlock
	work  chan *zipBlock
	order chan *zipBlock
	block *zipBlock // being filled; the filler's alone
}

func newZipPipeline(ctx context.Context, m Member) *zipPipeline {
	blocks := 2*m.Workers + 1
	l := &zipPipeline{
		ctx:   ctx,
		free:  make(chan *zipBlock, blocks),
		work:  make(chan *zipBlock, blocks),
		order: make(chan *zipBlock, blocks),
	}
	for range blocks {
		l.free <- &zipBlock{ready: make(chan struct{}, 1)}
	}
	return l
}

// Write adds p to the content.
func (l *zipPipeline) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if l.block == nil {
			b, _, err := receive(l.ctx, l.free)
			if err != nil {
				return written, err
			}
			l.block = b
		}
		n := min(len(p), zipBlockBytes-len(l.block.raw))
		l.block.raw = append(l.block.raw, p[:n]...)
		p = p[n:]
		written += n
		if len(l.block.raw) == zipBlockBytes {
			l.pass()
		}
	}
	return written, nil
}

// pass hands the block to a worker and to the collector. Neither channel can be
// full, because each has room for every block.
func (l *zipPipeline) pass() {
	l.order <- l.block
	l.work <- l.block
	l.block = nil
}

// end passes the last block and marks the content as complete.
func (l *zipPipeline) end() error {
	if l.block != nil {
		l.pass()
	}
	close(l.order)
	close(l.work)
	return l.ctx.Err()
}

// deflate compresses blocks until there are no more.
func (l *zipPipeline) deflate(level int) error {
	sink := &appendWriter{}
	fw, err := flate.NewWriter(sink, level)
	if err != nil {
		return fmt.Errorf("deflate at level %d: %w", level, err)
	}
	for {
		b, more, err := receive(l.ctx, l.work)
		if err != nil || !more {
			return err
		}
		sink.to = b.packed[:0]
		fw.Reset(sink)
		if _, err := fw.Write(b.raw); err != nil {
			return err
		}
		// Flush ends at a byte boundary and writes no last block, so that the
		// output of the next block can follow directly.
		if err := fw.Flush(); err != nil {
			return err
		}
		b.packed = sink.to
		b.ready <- struct{}{}
	}
}

// collect writes the archive: header, blocks in order, descriptor, directory.
func (l *zipPipeline) collect(out io.Writer, m Member) (Sizes, error) {
	var s Sizes
	if _, err := out.Write(m.localHeader()); err != nil {
		return s, err
	}
	for {
		b, more, err := receive(l.ctx, l.order)
		if err != nil {
			return s, err
		}
		if !more {
			break
		}
		if _, _, err := receive(l.ctx, b.ready); err != nil {
			return s, err
		}
		s.Raw += int64(len(b.raw))
		s.Packed += int64(len(b.packed))
		s.CRC = crc32.Update(s.CRC, crc32.IEEETable, b.raw)
		if _, err := out.Write(b.packed); err != nil {
			return s, err
		}
		b.raw = b.raw[:0]
		l.free <- b
	}
	s.Packed += int64(len(deflateEnd))
	_, err := out.Write(m.trailer([]byte(deflateEnd), s))
	return s, err
}

// receive waits for an element; more is false once the channel is closed.
func receive[T any](ctx context.Context, from <-chan T) (v T, more bool, err error) {
	select {
	case v, more = <-from:
		return v, more, nil
	case <-ctx.Done():
		return v, false, ctx.Err()
	}
}

// appendWriter is an io.Writer that grows a slice.
type appendWriter struct{ to []byte }

func (w *appendWriter) Write(p []byte) (int, error) {
	w.to = append(w.to, p...)
	return len(p), nil
}
