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

// durableStore adds fsync to the library's store, which answers before data is on
// disk. Order matters: first the content, before the object gets its name, so
// that a name never leads to torn content; then the file again, for its
// attributes; then every folder above it, since each may be new and its entry
// would be lost in a power failure. Only then is the request answered: a commit
// of the lake relies on its data files.
type durableStore struct {
	*posix.Posix

	root string
}

// PutObject stores an object durably.
func (d durableStore) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.PutObjectWithPostFunc(ctx, in, (*os.File).Sync)
	if err != nil {
		return out, err
	}
	return out, d.sync(*in.Bucket, *in.Key)
}

// CompleteMultipartUpload joins the parts of an object durably.
func (d durableStore) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (s3response.CompleteMultipartUploadResult, string, error) {
	out, version, err := d.Posix.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return out, version, err
	}
	return out, version, d.sync(*in.Bucket, *in.Key)
}

// CreateBucket creates a bucket durably.
func (d durableStore) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := d.Posix.CreateBucket(ctx, in, acl); err != nil {
		return err
	}
	return d.sync(*in.Bucket)
}

// sync calls fsync on the file or folder at path and on every folder above it, up
// to the root.
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

func syncPath(path string) error {
	f, err := os.Open(path) //nolint:gosec // the paths are those of our own data folder
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	defer func() { _ = f.Close() }() // opened for reading: Close cannot lose data
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
