package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"weir/schemas/columns"
)

const (
	uploadPartBytes   = 8 << 20 // part of a multipart upload; S3 allows 10,000 parts, so an export has at most 80 GB
	uploadConcurrency = 3       // parts in flight; times uploadPartBytes this is the memory of an upload
	readAttempts      = 3       // attempts to read a body whose connection breaks; the SDK retries only up to the headers
)

// Put stores body under key. When it returns nil, the object is stored.
func (b *Bucket) Put(ctx context.Context, key string, body []byte) error {
	_, err := b.client.api.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: bytes.NewReader(body),
		ContentLength: aws.Int64(int64(len(body))), ContentType: contentType(key),
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Upload stores the content of r under key, in parts and in constant memory, and
// returns its size. The object becomes visible only as a whole; if r fails, the
// parts are removed.
func (b *Bucket) Upload(ctx context.Context, key string, r io.Reader) (int64, error) {
	counted := &countingReader{r: r}
	up := transfermanager.New(b.client.api, func(o *transfermanager.Options) {
		o.PartSizeBytes = uploadPartBytes
		o.MultipartUploadThreshold = uploadPartBytes
		o.Concurrency = uploadConcurrency
		o.FailTimeout = maxBackoff // time to remove the parts after ctx has ended
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	_, err := up.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &b.name, Key: &key, Body: counted, ContentType: contentType(key),
	})
	if err != nil {
		return 0, fmt.Errorf("upload %s: %w", key, err)
	}
	return counted.n, nil
}

// countingReader counts the bytes read. It hides the other methods of r on purpose:
// the transfer manager would seek a file to its end to learn its size.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func contentType(key string) *string {
	t := mime.TypeByExtension(path.Ext(key))
	if t == "" {
		t = "application/octet-stream"
	}
	return &t
}

// Get returns a whole object.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	return b.read(ctx, key, nil)
}

// GetRange returns n bytes from off on. It is an error if the object has fewer.
func (b *Bucket) GetRange(ctx context.Context, key string, off, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	body, err := b.read(ctx, key, aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1)))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) != n {
		return nil, fmt.Errorf("get %s from %d: %d bytes of %d: %w", key, off, len(body), n, io.ErrUnexpectedEOF)
	}
	return body, nil
}

// read returns the bytes of an object, or of a range of it in the syntax of HTTP. It
// repeats the request if the connection breaks while the body is read.
func (b *Bucket) read(ctx context.Context, key string, bytesOf *string) ([]byte, error) {
	var broken error
	for range readAttempts {
		out, err := b.client.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key, Range: bytesOf})
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", key, withErrNotExist(err))
		}
		var body []byte
		if body, broken = readAll(out); broken == nil {
			return body, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("read %s: %w", key, broken)
}

// readAll reads a body of known length into one buffer.
func readAll(out *s3.GetObjectOutput) ([]byte, error) {
	defer func() { _ = out.Body.Close() }() // the bytes are read, or another error is returned
	if out.ContentLength == nil {
		return io.ReadAll(out.Body)
	}
	body := make([]byte, *out.ContentLength)
	_, err := io.ReadFull(out.Body, body)
	return body, err
}

// Stat returns the size of an object.
func (b *Bucket) Stat(ctx context.Context, key string) (int64, error) {
	out, err := b.client.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return 0, fmt.Errorf("stat %s: %w", key, withErrNotExist(err))
	}
	return aws.ToInt64(out.ContentLength), nil
}

// ServerTime returns the time of the store, to the second, by the Date of an answer.
func (b *Bucket) ServerTime(ctx context.Context) (time.Time, error) {
	if _, err := b.client.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name}); err != nil {
		return time.Time{}, fmt.Errorf("ask bucket %s for the time: %w", b.name, err)
	}
	date := b.client.progress.date.Load()
	if date == nil {
		return time.Time{}, errors.New("answers of the store have no Date")
	}
	return http.ParseTime(*date)
}

// Delete removes objects. Those that are not there are no error.
func (b *Bucket) Delete(ctx context.Context, keys ...string) error {
	for some := range slices.Chunk(keys, maxDeleteKeys) {
		if err := b.deleteBatch(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// deleteBatch deletes at most maxDeleteKeys objects in one request. It reports the keys
// that could not be deleted; a missing one counts as deleted.
func (b *Bucket) deleteBatch(ctx context.Context, keys []string) error {
	if len(keys) == 1 {
		_, err := b.client.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &keys[0]})
		if err != nil {
			return fmt.Errorf("delete %s: %w", keys[0], err)
		}
		return nil
	}
	ids := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		ids[i].Key = &keys[i]
	}
	out, err := b.client.api.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &b.name, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("delete %d objects from %s on: %w", len(keys), keys[0], err)
	}
	var errs []error
	for _, e := range out.Errors {
		if code := aws.ToString(e.Code); code != "NoSuchKey" {
			errs = append(errs, fmt.Errorf("delete %s: %s: %s", aws.ToString(e.Key), code, aws.ToString(e.Message)))
		}
	}
	return errors.Join(errs...)
}

// List yields the objects whose keys begin with prefix, ordered by key.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[columns.Object, error] {
	return func(yield func(columns.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(b.client.api, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(columns.Object{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(toObject(o), nil) {
					return
				}
			}
		}
	}
}

func toObject(o types.Object) columns.Object {
	return columns.Object{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}
}

// PresignInput describes a link to one object.
type PresignInput struct {
	Key      string        // of the object
	Endpoint string        // URL that the browser will use, as the signature covers its host; empty means the client's endpoint
	FileName string        // file name that the browser suggests; empty lets the browser choose
	TTL      time.Duration // validity of the link; 0 means 15m
}

// Presign returns a link by which anybody may download the object until it
// expires. It does not contact the store, so it does not check whether the object
// exists.
func (b *Bucket) Presign(ctx context.Context, in PresignInput) (string, error) {
	get := &s3.GetObjectInput{Bucket: &b.name, Key: &in.Key}
	if in.FileName != "" {
		get.ResponseContentDisposition = aws.String(mime.FormatMediaType("attachment", map[string]string{"filename": in.FileName}))
	}
	if in.TTL <= 0 {
		in.TTL = 15 * time.Minute
	}
	// The options belong to the call, not to the presign client: the latter would
	// copy the client and write to state that both share, which is a data race.
	signed, err := s3.NewPresignClient(b.client.api).PresignGetObject(ctx, get, s3.WithPresignExpires(in.TTL), s3.WithPresignClientFromClientOptions(func(o *s3.Options) {
		if in.Endpoint != "" {
			o.BaseEndpoint = &in.Endpoint
		}
	}))
	if err != nil {
		return "", fmt.Errorf("sign link to %s: %w", in.Key, err)
	}
	return signed.URL, nil
}
