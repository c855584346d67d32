package ingest

import (
	"bytes"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// eventBytes is what a decoded event holds beside its texts: itself, its optional
// fields and a generated random id.
const eventBytes = int64(unsafe.Sizeof(schemas.Event{})) + 192

// maxPooledEvents is the most events of which a decoder or a batch keeps the
// memory for the next request.
const maxPooledEvents = 512

// decoderMemory charges the buffers of a decoder as they grow. What an event
// aliases stays when a buffer moves, so each array is charged in full.
type decoderMemory struct {
	charge              *charge
	scratch, properties int // capacities that are charged
	events              int
	chunks              int64 // bytes of new chunks of scratch, not charged yet
}

// chargeGrowth charges what has grown since the last call.
func (m *decoderMemory) chargeGrowth(d *decoder) error {
	if m.charge == nil {
		return nil
	}
	n := m.chunks
	m.chunks = 0
	if c := cap(d.scratch); c != m.scratch {
		n, m.scratch = n+int64(c), c
	}
	if c := cap(d.propertyBuf); c != m.properties {
		n, m.properties = n+int64(c), c
	}
	if c := cap(d.events); c != m.events {
		n, m.events = n+int64(c)*eventBytes, c
	}
	return m.charge.add(n)
}

// reserveScratch makes room for n more bytes of scratch. A large scratch goes on in
// a new array, since to copy it would double what is held: texts alias the old one.
func reserveScratch(d *decoder, n int) {
	if n <= cap(d.scratch)-len(d.scratch) || cap(d.scratch) < maxPooledBytes {
		return
	}
	d.scratch = make([]byte, 0, max(n, 8*maxPooledBytes))
	d.memory.scratch = cap(d.scratch)
	d.memory.chunks += int64(cap(d.scratch))
}

// shrinkDecoder makes d ready for the pool, after a body of n bytes: it keeps what
// small requests need.
func shrinkDecoder(d *decoder, n int) {
	// Nothing in the pool may refer to the body, which would stay with it.
	clear(d.client[:cap(d.client)])
	clear(d.optional.categories)
	clear(d.optional.exceptions)
	d.reset(0, 0)
	d.body, d.buffer, d.item, d.memory = nil, bytes.Buffer{}, item{}, decoderMemory{}
	d.json.Reset(&d.buffer)
	if cap(d.scratch) > maxPooledBytes {
		d.scratch = nil
	}
	if cap(d.propertyBuf) > maxPooledBytes {
		d.propertyBuf = nil
	}
	if cap(d.events) > maxPooledEvents {
		d.events, d.optional = nil, optionalFields{}
	}
	if n > largeBody { // it remembers the names of the largest object
		d.json = jsontext.Decoder{}
	}
}
