package lake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// fileIO is the object store in the form that iceberg-go wants. It never
// deletes: the library removes the files of an attempt that failed, but the
// attempt may have been applied although its answer was lost, and then those
// files are the table. ExpireSnapshots, DeleteOrphans and the catalog delete
// through the store, when they know that nothing refers to a file. See
// schemas/DESIGN.md "After an error".
type fileIO struct {
	ctx   context.Context //nolint:containedctx // Iceberg's interface takes none; a fileIO lives as long as one call
	store ObjectStore
}

// fileSystem gives iceberg-go the store for the length of one call.
func fileSystem(store ObjectStore) table.FSysF {
	return func(ctx context.Context) (iceio.IO, error) { return fileIO{ctx: ctx, store: store}, nil }
}

// Open fetches an object as a whole.
func (f fileIO) Open(name string) (iceio.File, error) {
	body, err := f.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return openFile{Reader: bytes.NewReader(body), name: name, size: int64(len(body))}, nil
}

func (f fileIO) ReadFile(name string) ([]byte, error) {
	body, err := f.store.Get(f.ctx, objectKey(name))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	return body, nil
}

func (f fileIO) WriteFile(name string, body []byte) error {
	if err := f.store.Put(f.ctx, objectKey(name), body); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// Create returns a writer whose content is put when it is closed.
func (f fileIO) Create(name string) (iceio.FileWriter, error) {
	return &fileWriter{to: f, name: name}, nil
}

// Remove keeps the file: see fileIO.
func (fileIO) Remove(string) error { return nil }

// openFile is an object read as a whole; the lake opens only metadata and
// manifests this way, and they are small.
type openFile struct {
	*bytes.Reader
	name string
	size int64
}

func (openFile) Close() error                 { return nil }
func (f openFile) Stat() (fs.FileInfo, error) { return fileInfo(f), nil }

// fileInfo describes an openFile.
type fileInfo openFile

func (i fileInfo) Name() string     { return path.Base(i.name) }
func (i fileInfo) Size() int64      { return i.size }
func (fileInfo) Mode() fs.FileMode  { return 0o444 }
func (fileInfo) ModTime() time.Time { return time.Time{} }
func (fileInfo) IsDir() bool        { return false }
func (fileInfo) Sys() any           { return nil }

// fileWriter gathers a file and puts it when it is closed.
type fileWriter struct {
	to     fileIO
	name   string
	body   bytes.Buffer
	closed bool
}

func (f *fileWriter) Write(p []byte) (int, error)               { return f.body.Write(p) }
func (f *fileWriter) ReadFrom(r io.Reader) (n int64, err error) { return f.body.ReadFrom(r) }

func (f *fileWriter) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	return f.to.WriteFile(f.name, f.body.Bytes())
}
