package tail

import (
	"encoding/binary"
	"fmt"
)

const (
	continuation   = ^uint32(0)
	slotBodyLength = 3 // of table Message in Arrow's Message.fbs
)

// checkMessages walks the encapsulated messages of an IPC stream and checks every
// length against the bytes that follow. Arrow's reader allocates whatever length a
// message states before it reads the body, so a damaged one could exhaust memory.
func checkMessages(stream []byte) error {
	for len(stream) > 0 {
		if len(stream) < 8 || binary.LittleEndian.Uint32(stream) != continuation {
			return fmt.Errorf("%w: not an IPC message", ErrCorrupt)
		}
		n := int64(binary.LittleEndian.Uint32(stream[4:]))
		stream = stream[8:]
		if n == 0 {
			return nil // end of stream
		}
		if n > int64(len(stream)) {
			return fmt.Errorf("%w: IPC metadata of %d bytes", ErrCorrupt, n)
		}
		body, ok := bodyLength(stream[:n])
		stream = stream[n:]
		if !ok || body < 0 || body > int64(len(stream)) {
			return fmt.Errorf("%w: IPC body of %d bytes", ErrCorrupt, body)
		}
		stream = stream[body:]
	}
	return nil
}

// bodyLength reads the field bodyLength of the flatbuffer table Message: the root
// is an offset to the table, the table starts with the distance back to its vtable,
// and the vtable holds the position of each field in the table.
func bodyLength(meta []byte) (int64, bool) {
	size := int64(len(meta))
	if size < 8 {
		return 0, false
	}
	table := int64(binary.LittleEndian.Uint32(meta))
	if table > size-4 {
		return 0, false
	}
	vtable := table - int64(int32(binary.LittleEndian.Uint32(meta[table:])))
	if vtable < 0 || vtable > size-4 {
		return 0, false
	}
	slot := vtable + 4 + 2*slotBodyLength
	if int64(binary.LittleEndian.Uint16(meta[vtable:])) <= slot-vtable || slot > size-2 {
		return 0, true // the field is left out: 0
	}
	field := int64(binary.LittleEndian.Uint16(meta[slot:]))
	if field == 0 {
		return 0, true
	}
	if table+field > size-8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(meta[table+field:])), true
}
