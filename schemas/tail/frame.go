package tail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/go-json-experiment/json"
)

// An answer on the wire, integers little endian:
//
//	magic "WTL1"
//	u32 n, then n bytes of JSON: the header, one partHeader for each shard asked
//	frames: u32 part (index in the header), u32 n, u32 CRC-32C, then n bytes,
//	  one Arrow IPC stream with any number of record batches
//	end frame: part = endOfAnswer, n = 0, CRC = 0
const (
	magic        = "WTL1"
	endOfAnswer  = ^uint32(0)
	maxHeader    = 4 << 20  // bytes of JSON
	maxFrame     = 64 << 20 // bytes of one IPC stream
	frameHeadLen = 12
)

// partHeader is a Part as it stands in the header.
type partHeader struct {
	Shard   int32  `json:"shard"`
	Epoch   int64  `json:"epoch,omitzero"`
	From    int64  `json:"from"`
	Next    int64  `json:"next,omitzero"`
	LogTime int64  `json:"log_time,omitzero"`
	ReadAt  int64  `json:"read_at,omitzero"`
	Error   string `json:"error,omitempty"` // a word of wireError
}

const (
	wireBehind   = "behind"
	wireGone     = "gone"
	wireNotOwner = "not_owner"
)

// wireError is the word on the wire for err; "" when err is none of the three.
func wireError(err error) string {
	switch {
	case errors.Is(err, ErrBehind):
		return wireBehind
	case errors.Is(err, ErrGone):
		return wireGone
	case errors.Is(err, ErrNotOwner):
		return wireNotOwner
	}
	return ""
}

// fromWire is the error that a word on the wire stands for.
func fromWire(word string) error {
	switch word {
	case "":
		return nil
	case wireBehind:
		return ErrBehind
	case wireGone:
		return ErrGone
	case wireNotOwner:
		return ErrNotOwner
	}
	return fmt.Errorf("%w: unknown reason %q", ErrCorrupt, word)
}

func writeHeader(w io.Writer, parts []partHeader) error {
	text, err := json.Marshal(parts)
	if err != nil {
		return fmt.Errorf("encode tail header: %w", err)
	}
	head := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(text)))
	_, err = w.Write(append(head, text...))
	return err
}

// readHeader reads the magic and the header.
func readHeader(r io.Reader) ([]partHeader, error) {
	var head [len(magic) + 4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	n := binary.LittleEndian.Uint32(head[len(magic):])
	if string(head[:len(magic)]) != magic || n > maxHeader {
		return nil, fmt.Errorf("%w: not a tail header", ErrCorrupt)
	}
	text, err := readExactly(r, int(n))
	if err != nil {
		return nil, err
	}
	var parts []partHeader
	if err := json.Unmarshal(text, &parts); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	return parts, nil
}

// readExactly reads n bytes, and asks for memory only as bytes arrive: a
// length that lies costs nothing.
func readExactly(r io.Reader, n int) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, int64(n)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return buf.Bytes(), nil
}

// frameWriter turns batches into frames; it keeps one buffer.
type frameWriter struct {
	w   io.Writer
	buf bytes.Buffer
}

// write sends recs, all of one schema, as one frame of part.
func (f *frameWriter) write(part int, recs ...arrow.Record) error {
	f.buf.Reset()
	f.buf.Write(make([]byte, frameHeadLen))
	w := ipc.NewWriter(&f.buf, ipc.WithSchema(recs[0].Schema()))
	for _, rec := range recs {
		if err := w.Write(rec); err != nil {
			return errors.Join(fmt.Errorf("encode tail batch: %w", err), w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("encode tail batch: %w", err)
	}
	frame := f.buf.Bytes()
	if len(frame)-frameHeadLen > maxFrame {
		return fmt.Errorf("tail frame of %d bytes: %w", len(frame), ErrTooLarge)
	}
	putFrameHead(frame, uint32(part), frame[frameHeadLen:])
	_, err := f.w.Write(frame)
	return err
}

// end says that the answer is whole.
func (f *frameWriter) end() error {
	var head [frameHeadLen]byte
	putFrameHead(head[:], endOfAnswer, nil)
	_, err := f.w.Write(head[:])
	return err
}

func putFrameHead(dst []byte, part uint32, body []byte) {
	binary.LittleEndian.PutUint32(dst, part)
	binary.LittleEndian.PutUint32(dst[4:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[8:], checksum(body))
}

func checksum(body []byte) uint32 {
	return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
}

// frameReader reads the frames of one answer into parts.
type frameReader struct {
	r    io.Reader
	mem  memory.Allocator
	left int64 // bytes of frames that may still come
}

// readAll reads frames up to the end frame and adds their batches to parts.
func (f *frameReader) readAll(parts []Part) error {
	for {
		part, body, err := f.next()
		if err != nil {
			return err
		}
		if part == endOfAnswer {
			return nil
		}
		if int64(part) >= int64(len(parts)) {
			return fmt.Errorf("%w: frame of part %d of %d", ErrCorrupt, part, len(parts))
		}
		recs, err := decodeBatches(body, f.mem)
		if err != nil {
			return err
		}
		parts[part].Rows = append(parts[part].Rows, recs...)
	}
}

func (f *frameReader) next() (uint32, []byte, error) {
	var head [frameHeadLen]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	part, n := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes", ErrCorrupt, n)
	}
	if f.left -= int64(n); f.left < 0 {
		return 0, nil, ErrTooLarge
	}
	body, err := readExactly(f.r, int(n))
	if err != nil {
		return 0, nil, err
	}
	if checksum(body) != binary.LittleEndian.Uint32(head[8:]) {
		return 0, nil, fmt.Errorf("%w: checksum of a frame", ErrCorrupt)
	}
	return part, body, nil
}

// decodeBatches decodes one IPC stream. The caller releases the batches.
func decodeBatches(body []byte, mem memory.Allocator) (recs []arrow.Record, err error) {
	if err := checkMessages(body); err != nil {
		return nil, err
	}
	r, err := ipc.NewReader(bytes.NewReader(body), ipc.WithAllocator(mem))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	defer r.Release()
	for r.Next() {
		rec := r.Record()
		rec.Retain()
		recs = append(recs, rec)
	}
	if err := r.Err(); err != nil {
		for _, rec := range recs {
			rec.Release()
		}
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return recs, nil
}
