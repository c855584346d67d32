package export

import (
	"encoding/binary"
	"math"
	"time"
)

// The records of a zip archive (APPNOTE.TXT 4.3), for one deflated member whose
// sizes are known only after it was written.
const (
	zipLocalSig      = 0x04034b50
	zipDescriptorSig = 0x08074b50
	zipCentralSig    = 0x02014b50
	zip64EndSig      = 0x06064b50
	zip64LocatorSig  = 0x07064b50
	zipEndSig        = 0x06054b50

	zipFlags      = 1<<3 | 1<<11 // sizes in a descriptor after the data; names in UTF-8
	zipDeflate    = 8
	zipVersion    = 20
	zip64Version  = 45
	zipUnix       = 3 << 8
	zipPlainFile  = 0o100644 << 16
	zip64ExtraID  = 1
	zip64EndBytes = 56
	zipMax16      = math.MaxUint16
	zipMax32      = math.MaxUint32
)

// localHeader returns the record before the data.
func (m Member) localHeader() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, zipLocalSig)
	b = le.AppendUint16(b, zipVersion)
	b = m.appendCommon(b, Sizes{})
	b = le.AppendUint16(b, uint16(len(m.Name)))
	b = le.AppendUint16(b, 0) // extra
	return append(b, m.Name...)
}

// appendCommon appends what the local and the central header share: flags,
// method, time, CRC, sizes.
func (m Member) appendCommon(b []byte, s Sizes) []byte {
	le := binary.LittleEndian
	date, clock := dosTime(m.Modified)
	b = le.AppendUint16(b, zipFlags)
	b = le.AppendUint16(b, zipDeflate)
	b = le.AppendUint16(b, clock)
	b = le.AppendUint16(b, date)
	b = le.AppendUint32(b, s.CRC)
	packed, raw := s.Packed, s.Raw
	if s.large() {
		packed, raw = zipMax32, zipMax32
	}
	b = le.AppendUint32(b, uint32(packed))
	return le.AppendUint32(b, uint32(raw))
}

// large reports whether the sizes need zip64.
func (s Sizes) large() bool { return s.Raw >= zipMax32 || s.Packed >= zipMax32 }

// trailer appends everything that follows the data: descriptor, directory, end.
func (m Member) trailer(b []byte, s Sizes) []byte {
	le := binary.LittleEndian
	before := len(b)
	b = le.AppendUint32(b, zipDescriptorSig)
	b = le.AppendUint32(b, s.CRC)
	if s.large() {
		b = le.AppendUint64(b, uint64(s.Packed))
		b = le.AppendUint64(b, uint64(s.Raw))
	} else {
		b = le.AppendUint32(b, uint32(s.Packed))
		b = le.AppendUint32(b, uint32(s.Raw))
	}
	directory := int64(len(m.localHeader())) + s.Packed + int64(len(b)-before)
	start := len(b)
	b = m.appendCentral(b, s)
	return appendEnd(b, directory, int64(len(b)-start))
}

// appendCentral appends the entry of the directory.
func (m Member) appendCentral(b []byte, s Sizes) []byte {
	le := binary.LittleEndian
	version, extra := uint16(zipVersion), 0
	if s.large() {
		version, extra = zip64Version, 20
	}
	b = le.AppendUint32(b, zipCentralSig)
	b = le.AppendUint16(b, zipUnix|version)
	b = le.AppendUint16(b, version)
	b = m.appendCommon(b, s)
	b = le.AppendUint16(b, uint16(len(m.Name)))
	b = le.AppendUint16(b, uint16(extra))
	b = le.AppendUint16(b, 0) // comment
	b = le.AppendUint16(b, 0) // disk
	b = le.AppendUint16(b, 0) // internal attributes
	b = le.AppendUint32(b, zipPlainFile)
	b = le.AppendUint32(b, 0) // where the local header is
	b = append(b, m.Name...)
	if s.large() {
		b = le.AppendUint16(b, zip64ExtraID)
		b = le.AppendUint16(b, 16)
		b = le.AppendUint64(b, uint64(s.Raw))
		b = le.AppendUint64(b, uint64(s.Packed))
	}
	return b
}

// appendEnd appends the end of a directory of one entry that starts at at.
func appendEnd(b []byte, at, size int64) []byte {
	le := binary.LittleEndian
	count, at32 := uint16(1), uint32(at)
	if at >= zipMax32 {
		count, at32 = zipMax16, zipMax32
		b = le.AppendUint32(b, zip64EndSig)
		b = le.AppendUint64(b, zip64EndBytes-12)
		b = le.AppendUint16(b, zipUnix|zip64Version)
		b = le.AppendUint16(b, zip64Version)
		b = le.AppendUint32(b, 0) // this disk
		b = le.AppendUint32(b, 0) // disk of the directory
		b = le.AppendUint64(b, 1) // entries here
		b = le.AppendUint64(b, 1) // entries
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(at))
		b = le.AppendUint32(b, zip64LocatorSig)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(at+size))
		b = le.AppendUint32(b, 1) // disks
	}
	b = le.AppendUint32(b, zipEndSig)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, count)
	b = le.AppendUint16(b, count)
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, at32)
	return le.AppendUint16(b, 0) // comment
}

// dosTime returns t in UTC as zip records have it, to two seconds.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	date = uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
	clock = uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	return date, clock
}
