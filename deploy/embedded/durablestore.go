package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3response"
)

// durableStore adds to the library's files the one thing they lack: what is
// answered is on disk. Bytes are synced before the object gets its name, then
// the object again for its attributes, then every folder above it, since any
// of them may have been made for it.
type durableStore struct {
	*posix.Posix

	root string
}

// PutObject stores one object.
func (d durableStore) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.PutObjectWithPostFunc(ctx, in, (*os.File).Sync)
	if err != nil {
		return out, err
	}
	return out, d.sync(*in.Bucket, *in.Key)
}

// CompleteMultipartUpload makes an object of its parts.
func (d durableStore) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	out, version, err := d.Posix.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return out, version, err
	}
	return out, version, d.sync(*in.Bucket, *in.Key)
}

// CreateBucket makes a bucket.
func (d durableStore) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := d.Posix.CreateBucket(ctx, in, acl); err != nil {
		return err
	}
	return d.sync(*in.Bucket)
}

// sync syncs the file or folder at path and every folder from there up to the
// root.
func (d durableStore) sync(path ...string) error {
	at := filepath.Join(path...)
	for {
		if err := syncPath(filepath.Join(d.root, at)); err != nil {
			return err
		}
		if at == "." {
			return nil
		}
		at = filepath.Dir(at)
	}
}

// WriteFile writes a small file so that a reader, now or after a power cut,
// finds all of it or none.
func WriteFile(path string, text []byte, perm os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	if err := writeSynced(f, text, perm); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncPath(filepath.Dir(path))
}

func writeSynced(f *os.File, text []byte, perm os.FileMode) error {
	defer func() { _ = f.Close() }() // a second close is harmless; the first one's error is returned
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func syncPath(path string) error {
	f, err := os.Open(path) //nolint:gosec // the paths are those of our own data folder
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	defer func() { _ = f.Close() }() // only read
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
