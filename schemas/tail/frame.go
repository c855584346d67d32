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

	"weir/schemas/columns"
)

// Format of a response, integers little endian:
//
//	magic "WTL1", then frames: u32 kind, u32 n, u32 CRC-32C of the body, n bytes of body
//	first frame: kind = headerFrame, JSON, one partHeader for each requested shard
//	further frames: kind = index of a part in the header, one Arrow IPC stream of events;
//		changesFrame + that index, one of changes
//	last frame: kind = endFrame, no body
//
// Frames exist in addition to Arrow's own stream because one response interleaves batches of
// several shards and of two schemas, and because neither IPC nor chunked HTTP detects
// a damaged or missing piece. BenchmarkFetch measures the whole path.
const (
	magic          = "WTL1"
	headerFrame    = ^uint32(0) - 1
	endFrame       = ^uint32(0)
	changesFrame   = uint32(1) << 30
	maxFrameBytes  = 64 << 20 // bytes of a body
	frameHeaderLen = 12
)

// partHeader is the part of a Part that the header carries.
type partHeader struct {
	Shard   int32  `json:"shard"`
	Epoch   int64  `json:"epoch,omitzero"`
	From    int64  `json:"from"`
	Next    int64  `json:"next,omitzero"`
	LogTime int64  `json:"log_time,omitzero"`
	ReadAt  int64  `json:"read_at,omitzero"`
	End     int64  `json:"end,omitzero"`
	Error   string `json:"error,omitempty"` // a word of errorCode
}

const (
	codeBehind   = "behind"
	codeGone     = "gone"
	codeNotOwner = "not_owner"
)

// errorCode returns the code of err on the wire; "" if err is none of the three.
func errorCode(err error) string {
	switch {
	case errors.Is(err, ErrBehind):
		return codeBehind
	case errors.Is(err, ErrGone):
		return codeGone
	case errors.Is(err, ErrNotOwner):
		return codeNotOwner
	}
	return ""
}

// errorFromCode returns the error of a code; nil for "".
func errorFromCode(word string) error {
	switch word {
	case "":
		return nil
	case codeBehind:
		return ErrBehind
	case codeGone:
		return ErrGone
	case codeNotOwner:
		return ErrNotOwner
	}
	return fmt.Errorf("%w: unknown reason %q", ErrCorrupt, word)
}

// readExactly reads n bytes and allocates only as they arrive, so that a wrong
// length costs no memory.
func readExactly(r io.Reader, n int) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, int64(n)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return buf.Bytes(), nil
}

// frameWriter writes the frames of a response through one reused buffer.
type frameWriter struct {
	w   io.Writer
	buf bytes.Buffer
}

// writeHeader starts the response.
func (f *frameWriter) writeHeader(parts []partHeader) error {
	if _, err := io.WriteString(f.w, magic); err != nil {
		return err
	}
	f.reset()
	if err := json.MarshalWrite(&f.buf, parts); err != nil {
		return fmt.Errorf("encode tail header: %w", err)
	}
	return f.writeFrame(headerFrame)
}

// writeBatch writes rec as one frame of a kind.
func (f *frameWriter) writeBatch(kind uint32, rec arrow.Record) error {
	f.reset()
	w := ipc.NewWriter(&f.buf, ipc.WithSchema(rec.Schema()))
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		return fmt.Errorf("encode tail batch: %w", err)
	}
	return f.writeFrame(kind)
}

// writeEnd marks the response as complete.
func (f *frameWriter) writeEnd() error {
	f.reset()
	return f.writeFrame(endFrame)
}

// reset starts a frame and leaves room for its header, which is known last.
func (f *frameWriter) reset() {
	f.buf.Reset()
	f.buf.Write(make([]byte, frameHeaderLen))
}

// writeFrame fills in the header of the frame in the buffer and writes it.
func (f *frameWriter) writeFrame(kind uint32) error {
	frame := f.buf.Bytes()
	body := frame[frameHeaderLen:]
	if len(body) > maxFrameBytes {
		return fmt.Errorf("tail frame of %d bytes: %w", len(body), ErrTooLarge)
	}
	binary.LittleEndian.PutUint32(frame, kind)
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[8:], checksum(body))
	_, err := f.w.Write(frame)
	return err
}

func checksum(body []byte) uint32 {
	return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
}

// frameReader reads the frames of one response into parts.
type frameReader struct {
	r         io.Reader
	mem       memory.Allocator
	remaining int64 // bytes of bodies that may still follow
}

// readHeader reads the magic and the header.
func (f *frameReader) readHeader() ([]partHeader, error) {
	var word [len(magic)]byte
	if _, err := io.ReadFull(f.r, word[:]); err != nil || string(word[:]) != magic {
		return nil, fmt.Errorf("%w: not a tail response", ErrCorrupt)
	}
	kind, body, err := f.readFrame()
	if err != nil {
		return nil, err
	}
	if kind != headerFrame {
		return nil, fmt.Errorf("%w: frame %d in place of the header", ErrCorrupt, kind)
	}
	var parts []partHeader
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	return parts, nil
}

// readBatches reads all frames and adds their batches to parts. After an error the
// parts hold the batches read so far, and the caller must release them.
func (f *frameReader) readBatches(parts []Part) error {
	for {
		kind, body, err := f.readFrame()
		if err != nil {
			return err
		}
		if kind == endFrame {
			return nil
		}
		changes := kind >= changesFrame
		if changes {
			kind -= changesFrame
		}
		if int64(kind) >= int64(len(parts)) || parts[kind].Err != nil {
			return fmt.Errorf("%w: frame %d of %d parts", ErrCorrupt, kind, len(parts))
		}
		recs, err := decodeBatches(body, f.mem)
		if err != nil {
			return err
		}
		if !changes {
			parts[kind].Rows = append(parts[kind].Rows, recs...)
			continue
		}
		parts[kind].Changes = append(parts[kind].Changes, recs...)
		if len(recs) > 0 && !recs[0].Schema().Equal(columns.ChangeSchema()) { // their readers access columns by position
			return fmt.Errorf("%w: changes of another schema", ErrCorrupt)
		}
	}
}

// readFrame reads one frame and verifies its checksum. It refuses a frame that exceeds
// maxFrameBytes or the limit of the client before it reads the body.
func (f *frameReader) readFrame() (uint32, []byte, error) {
	var head [frameHeaderLen]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	kind, n := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if n > maxFrameBytes {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes", ErrCorrupt, n)
	}
	if f.remaining -= int64(n); f.remaining < 0 {
		return 0, nil, ErrTooLarge
	}
	body, err := readExactly(f.r, int(n))
	if err != nil {
		return 0, nil, err
	}
	if checksum(body) != binary.LittleEndian.Uint32(head[8:]) {
		return 0, nil, fmt.Errorf("%w: checksum of a frame", ErrCorrupt)
	}
	return kind, body, nil
}

// decodeBatches decodes one IPC stream. The caller releases the batches; after an
// error there are none.
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
