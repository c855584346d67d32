package export

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestRecordsOfSeveralFiles: the records of all files follow one another, whatever
// pieces they come in, and line breaks within quotes end none.
func TestRecordsOfSeveralFiles(t *testing.T) {
	const header = "A,\"B \"\"b\"\"\"\r\n"
	files := []string{header + "1,2\r\n\"x\r\ny\",\"\"\"\r\n\"\r\n", header, header + ",\r\n"}
	for _, size := range []int{1, 2, 7, 1000} {
		var got bytes.Buffer
		out := &recordWriter{w: &got, header: []byte(header)}
		for _, file := range files {
			out.begin()
			for rest := file; rest != ""; {
				n := min(size, len(rest))
				if m, err := out.Write([]byte(rest[:n])); m != n || err != nil {
					t.Fatalf("wrote %d of %d: %v", m, n, err)
				}
				rest = rest[n:]
			}
			if err := out.end(); err != nil {
				t.Fatal(err)
			}
		}
		want := strings.ReplaceAll(strings.Join(files, ""), header, "")
		if got.String() != want || out.records != 3 {
			t.Errorf("in pieces of %d: %d records, %q, want 3, %q", size, out.records, got.String(), want)
		}
	}
}

func TestOtherColumnsAreNotAppended(t *testing.T) {
	check := func(file string, want error) {
		t.Helper()
		out := &recordWriter{w: io.Discard, header: []byte("A,B\r\n")}
		_, err := out.Write([]byte(file))
		if err == nil {
			err = out.end()
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", file, err, want)
		}
	}
	check("A,C\r\n1,2\r\n", errOtherColumns)
	check("A,B,C\r\n", errOtherColumns)
	check("A,B", errOtherColumns)
	check("", errOtherColumns)
	check("A,B\r\n\"1", errZip)
	check("A,B\r\n", nil)
}

// TestZipIsReadAsAStream reads what WriteZip wrote, and refuses it cut short; with a
// byte changed it is refused or, where the bits are of no use, read as it was.
func TestZipIsReadAsAStream(t *testing.T) {
	content := bytes.Repeat([]byte("some text, and some more of it\r\n"), 40_000) // more than a block
	for _, size := range []int{0, 1, 1000, zipBlockBytes, len(content)} {
		var archive, got bytes.Buffer
		if _, err := WriteZip(t.Context(), &archive, member(2), func(_ context.Context, w io.Writer) error {
			_, err := w.Write(content[:size])
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := readZip(&archive, &got); err != nil || !bytes.Equal(got.Bytes(), content[:size]) {
			t.Errorf("%d bytes: read %d, %v", size, got.Len(), err)
		}
	}
	var archive bytes.Buffer
	const text = "text of no great length, that is compressed"
	if _, err := WriteZip(t.Context(), &archive, member(1), func(_ context.Context, w io.Writer) error {
		_, err := w.Write([]byte(text))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	whole := archive.Bytes()
	end := bytes.Index(whole, []byte{'P', 'K', 7, 8}) + 8 // behind the CRC
	for n := range end {
		if err := readZip(bytes.NewReader(whole[:n]), io.Discard); !errors.Is(err, errZip) {
			t.Errorf("the first %d bytes: %v, want %v", n, err, errZip)
		}
		broken := bytes.Clone(whole)
		broken[n] ^= 0x40
		var got bytes.Buffer
		if err := readZip(bytes.NewReader(broken), &got); err == nil && got.String() != text || err != nil && !errors.Is(err, errZip) {
			t.Errorf("byte %d changed: %v, %q, want %v", n, err, got.String(), errZip)
		}
	}
	boom := errors.New("boom")
	if err := readZip(bytes.NewReader(whole), &failing{3, boom}); !errors.Is(err, boom) || unusable(err) {
		t.Errorf("the writer fails: %v, want %v", err, boom)
	}
}
