package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"weir/schemas"
)

const (
	maxLine      = 1 << 20   // bytes of a line; an event is at most half of that
	longLineKept = 1 << 10   // bytes of a longer line that are written to the rejected file
	readBuffer   = 256 << 10 // of each file
	zstdMaxFrame = 128 << 20 // largest window of a zstd file
)

// inputFile is one file to send, with its file of rejected lines.
type inputFile struct {
	name string
	size int64 // bytes on disk; 0 means unknown
	in   io.ReadCloser

	mu       sync.Mutex // guards what follows
	rejected int
	out      *os.File // nil before the first rejection
}

// item is one line of a file, or one row.
type item struct {
	source   *inputFile
	line     int    // on which it begins
	text     []byte // the event as in the file; of a row, the event that was made of it
	bad      string // why the line is no event; empty for an event
	complete bool   // text has a random_id
}

// openInputs opens every file before anything is sent, so that a wrong name fails
// at once.
func openInputs(names []string, stdin io.Reader) ([]*inputFile, error) {
	var sources []*inputFile
	var errs []error
	for _, name := range names {
		s := &inputFile{name: name}
		sources = append(sources, s)
		if name == "-" {
			s.name, s.in = "stdin", io.NopCloser(stdin)
			continue
		}
		f, err := os.Open(name) //nolint:gosec // the caller names the files
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.in = f
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			if s.size = info.Size(); s.size == 0 && isExportName(name) {
				errs = append(errs, fmt.Errorf("%s: %w", name, errEmptyExport))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		for _, s := range sources {
			s.close()
		}
		return nil, err
	}
	return sources, nil
}

// totalSize returns the bytes of all files, or 0 when a size is unknown.
func totalSize(sources []*inputFile) int64 {
	var sum int64
	for _, s := range sources {
		if s.size == 0 {
			return 0
		}
		sum += s.size
	}
	return sum
}

func (s *inputFile) close() {
	if s.in != nil {
		_ = s.in.Close() // only read
	}
}

// text returns what the file has, decompressed. It adds the bytes read from disk to
// read.
func (s *inputFile) text(read *atomic.Int64) (_ *bufio.Reader, done func(), err error) {
	text, done, err := decompress(&countingReader{s.in, read})
	if errors.Is(err, errZip) {
		text, done, err = unzip(s, read)
	}
	if err != nil {
		return nil, nil, err
	}
	return bufio.NewReaderSize(text, readBuffer), done, nil
}

// unzip opens the one file of a zip archive.
func unzip(s *inputFile, read *atomic.Int64) (io.Reader, func(), error) {
	in, ok := s.in.(io.ReaderAt)
	if !ok || s.size == 0 {
		return nil, nil, errors.New("a zip archive must be a file, since its directory is at its end")
	}
	z, err := zip.NewReader(&countingReaderAt{in, read}, s.size)
	if err != nil {
		return nil, nil, err
	}
	if len(z.File) != 1 {
		return nil, nil, fmt.Errorf("the archive holds %d files, want one", len(z.File))
	}
	if z.File[0].UncompressedSize64 == 0 {
		return nil, nil, errEmptyExport
	}
	text, err := z.File[0].Open()
	if err != nil {
		return nil, nil, err
	}
	return text, func() { _ = text.Close() }, nil // only read
}

// byteOrderMark begins files of UTF-8 that some programs for Windows write.
const byteOrderMark = "\xef\xbb\xbf"

// firstByte skips a byte order mark and returns the first byte that is no white space,
// or 0 if there is none in a buffer. It reads no further: standard input may be slow.
func firstByte(text *bufio.Reader) (byte, error) {
	if start, _ := text.Peek(2); isUTF16(start) { // an empty file has less
		return 0, errUTF16
	}
	for n := 1; n <= text.Size(); n++ {
		start, err := text.Peek(n)
		if err != nil {
			return 0, ignoreEOF(err)
		}
		switch last := start[n-1]; {
		case bytes.Equal(start, []byte(byteOrderMark)):
			_, _ = text.Discard(n) // they were peeked at
			n = 0
		case !bytes.HasPrefix([]byte(byteOrderMark), start) && !strings.ContainsRune(" \t\r\n\v\f", rune(last)):
			return last, nil
		}
	}
	return 0, nil
}

// errUTF16 is a file as some programs for Windows write it.
var errUTF16 = errors.New("is UTF-16, and JSON and CSV must be UTF-8: convert it, as with iconv -f UTF-16 -t UTF-8")

// isUTF16 reports whether a text begins as one of UTF-16 or UTF-32: with a byte
// order mark, or with a character of ASCII in two bytes.
func isUTF16(start []byte) bool {
	return len(start) == 2 && (start[0] == 0xff && start[1] == 0xfe || start[0] == 0xfe && start[1] == 0xff || start[0] == 0 || start[1] == 0)
}

// errEmptyExport is what is left of a download that failed: a raw export has a header
// at least.
var errEmptyExport = errors.New("is empty, a raw export has a header at least: download it again")

// isExportName reports whether a file of the name must be a raw export. A file of lines
// may be empty.
func isExportName(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".zip", ".csv":
		return true
	}
	return false
}

// items yields the lines of a file.
func (s *inputFile) items(lines *bufio.Reader) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for n := 1; ; n++ {
			line, long, err := readLine(lines)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(item{}, fmt.Errorf("read line %d: %w", n, err))
				return
			}
			it := newItem(n, line, long)
			it.source = s
			if len(line) > 0 && !yield(it, nil) {
				return
			}
			if err != nil {
				return
			}
		}
	}
}

// countingReader counts the bytes read.
type countingReader struct {
	io.Reader

	n *atomic.Int64
}

func (m *countingReader) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n.Add(int64(n))
	return n, err
}

// errZip says that a file is a zip archive, which cannot be read as a stream.
var errZip = errors.New("a zip archive")

// countingReaderAt counts the bytes read.
type countingReaderAt struct {
	io.ReaderAt

	n *atomic.Int64
}

func (m *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(p, off)
	m.n.Add(int64(n))
	return n, err
}

// decompress detects gzip and zstd by the first bytes and not by the name, since
// standard input has none.
func decompress(r io.Reader) (_ io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(r, readBuffer)
	magic, _ := b.Peek(4) // a shorter file is not compressed
	switch {
	case bytes.Equal(magic, []byte("PK\x03\x04")), bytes.Equal(magic, []byte("PK\x05\x06")): // the latter holds no files
		return nil, nil, errZip
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Close() }, nil // only read
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdMaxFrame))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}

// readLine reads one line without its end. It returns the beginning of a line
// that is too long and skips the rest.
func readLine(r *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= maxLine+1 {
			line = append(line, part...)
		} else {
			long = true
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			line = line[:min(len(line), longLineKept)]
		}
		return bytes.TrimSpace(line), long, err
	}
}

// newItem checks what can be checked without the server: that the line is one
// JSON object.
func newItem(n int, line []byte, long bool) item {
	it := item{line: n, text: line}
	switch value := jsontext.Value(line); {
	case long:
		it.bad = fmt.Sprintf("line is longer than %d bytes", maxLine)
	case value.Kind() != '{':
		it.bad = "not a JSON object"
	case !value.IsValid():
		it.bad = "not valid JSON: " + syntaxError(line)
	}
	return it
}

// syntaxError returns what is wrong with text, and where.
func syntaxError(text []byte) string {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if _, err := d.ReadValue(); err != nil {
		return err.Error()
	}
	return "something follows the object"
}

// event returns the JSON to send. An item without random_id gets a hash of its
// content, so that it has the same id whenever it is sent.
func (it item) event() ([]byte, error) {
	if it.complete {
		return it.text, nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(it.text))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		isID := name.String() == "random_id"
		from := int(d.InputOffset())
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if !isID {
			continue
		}
		if value.Kind() != 'n' && string(value) != `""` {
			return it.text, nil
		}
		// Replace an empty id: from after the name to the end of the value.
		to := int(d.InputOffset())
		return fmt.Appendf(nil, "%s:%q%s", it.text[:from], it.contentID(), it.text[to:]), nil
	}
	rest := bytes.TrimSpace(it.text[1:])
	comma := ","
	if rest[0] == '}' {
		comma = ""
	}
	return fmt.Appendf(nil, `{"random_id":%q%s%s`, it.contentID(), comma, rest), nil
}

// contentID returns a UUID made of the line.
func (it item) contentID() string { return hashUUID(it.text) }

// hashUUID returns a UUID made of the SHA-256 of content. Version 8 is the one for
// application-defined contents (RFC 9562).
func hashUUID(content []byte) string {
	sum := sha256.Sum256(content)
	var id uuid.UUID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}

func (s *inputFile) rejectedPath() string { return s.name + ".rejected" }

// rejection is a line of the rejected file.
type rejection struct {
	Line   int             `json:"line"` // number in the sent file, from 1
	Field  string          `json:"field,omitempty"`
	Reason string          `json:"reason"`
	Event  json.RawMessage `json:"event,omitempty"` // the line, if it is JSON
	Text   string          `json:"text,omitempty"`  // the line or its beginning, if it is not
}

// reject writes it to the rejected file, which the first rejection creates or
// truncates.
func (s *inputFile) reject(it item, why schemas.ItemError) error {
	r := rejection{Line: it.line, Field: why.Field, Reason: why.Reason, Event: it.text}
	if it.bad != "" {
		r.Event, r.Text = nil, string(bytes.ToValidUTF8(it.text, []byte("\uFFFD")))
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", s.rejectedPath(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		if s.out, err = os.OpenFile(s.rejectedPath(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
			return err
		}
	}
	s.rejected++
	_, err = s.out.Write(append(text, '\n'))
	return err
}

// rejectedCount may be called while senders still reject lines.
func (s *inputFile) rejectedCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rejected
}

// closeRejected closes the rejected file. When nothing was rejected it removes
// the file of an earlier run, which would report corrected mistakes.
func (s *inputFile) closeRejected() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out != nil {
		return s.out.Close()
	}
	if err := os.Remove(s.rejectedPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
