package export

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// errZip says that an archive is not as WriteZip writes it, or is damaged.
var errZip = errors.New("invalid archive")

const (
	zipLocalBytes = 30 // of a local header, before the name
	zipNameAt     = 26 // where it has the lengths of the name and of the extra fields
)

// readZip writes the content of an archive of WriteZip, read from its start, to
// out, and checks it against its CRC. The error of a damaged archive is errZip;
// other errors are those of in and out.
func readZip(in io.Reader, out io.Writer) error {
	from := bufio.NewReaderSize(in, 64<<10)
	var head [zipLocalBytes]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return damaged(err)
	}
	le := binary.LittleEndian
	if le.Uint32(head[:]) != zipLocalSig {
		return fmt.Errorf("%w: no local header", errZip)
	}
	if _, err := from.Discard(int(le.Uint16(head[zipNameAt:])) + int(le.Uint16(head[zipNameAt+2:]))); err != nil {
		return damaged(err)
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(io.MultiWriter(out, sum), flate.NewReader(from)); err != nil {
		return damaged(err)
	}
	var descriptor [8]byte // its signature and the CRC; the sizes follow
	if _, err := io.ReadFull(from, descriptor[:]); err != nil {
		return damaged(err)
	}
	if le.Uint32(descriptor[:]) != zipDescriptorSig || le.Uint32(descriptor[4:]) != sum.Sum32() {
		return fmt.Errorf("%w: the CRC differs", errZip)
	}
	return nil
}

// damaged adds errZip to errors of the format.
func damaged(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &corrupt) {
		return fmt.Errorf("%w: %w", errZip, err)
	}
	return err
}
