// Package objects is Weir's client of S3-compatible storage, and the only package
// that uses the AWS SDK. When Put or Upload returns nil, the object is stored. A
// missing object is fs.ErrNotExist. Any other error was already retried where that
// helps, and the caller may retry it later.
package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const (
	maxAttempts           = 6                // of one call, including the first
	maxBackoff            = 5 * time.Second  // longest wait between two attempts
	maxIdlePerHost        = 64               // idle connections kept; a cut puts several data files at once
	responseHeaderTimeout = 60 * time.Second // until the response header; a store that hangs fails the call
	dialTimeout           = 5 * time.Second
	maxDeleteKeys         = 1000 // keys in one DeleteObjects; the limit of the S3 API
)

// Config holds the address and the credentials of the storage.
type Config struct {
	Endpoint  string // URL of the server; empty means AWS
	Region    string // empty means us-east-1
	AccessKey string // empty uses the SDK's default chain: environment, profile, instance role
	SecretKey string // of AccessKey
	PathStyle bool   // bucket in the path instead of the host name, as most servers except AWS expect

	StallTimeout time.Duration // in which a body must move on by MinRate, or its request is ended and repeated; 0 means 30s
	MinRate      int64         // bytes a second; 0 means 4 KiB

	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"` // makes connections; nil is the usual way
}

// Client is a client of one store, shared by all its buckets.
type Client struct {
	api      *s3.Client
	http     *http.Client
	progress *progress
	region   string
}

// Stalls returns how many requests were ended because their body stood still.
func (c *Client) Stalls() int64 { return c.progress.stalls.Load() }

// Close closes idle connections, for which a server that shuts down would wait.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Open returns a client without contacting the store.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	region := cmp.Or(cfg.Region, "us-east-1")
	opts := []func(*config.LoadOptions) error{
		config.WithRegion(region),
		config.WithHTTPClient(httpClient(cfg)),
		config.WithRetryer(newRetryer),
	}
	if cfg.AccessKey != "" {
		opts = append(opts, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, "")))
	}
	loaded, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("load S3 settings: %w", err)
	}
	// The client is replaced only after loading: AWS_CA_BUNDLE needs the SDK's own
	// client, which offers no way to close its idle connections.
	transport := http.DefaultTransport
	if b, ok := loaded.HTTPClient.(*awshttp.BuildableClient); ok {
		transport = b.GetTransport()
	}
	moving := newProgress(transport, cfg)
	caller := &http.Client{Transport: moving, CheckRedirect: followSameMethod}
	loaded.HTTPClient = caller
	api := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		// Every request signs the SHA-256 of its payload. The SDK's newer, additional
		// checksums travel as trailers, which many servers refuse.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return &Client{api: api, http: caller, progress: moving, region: region}, nil
}

// newRetryer backs off with jitter, and slows down all calls when the store
// throttles.
func newRetryer() aws.Retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(s *retry.StandardOptions) {
			s.MaxAttempts = maxAttempts
			s.MaxBackoff = maxBackoff
		})
	})
}

// httpClient keeps enough idle connections for parallel calls; the SDK's default
// keeps ten.
func httpClient(cfg Config) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 0
			t.MaxIdleConnsPerHost = maxIdlePerHost
			t.ResponseHeaderTimeout = responseHeaderTimeout
			t.WriteBufferSize, t.ReadBufferSize = 32<<10, 32<<10
			if cfg.Dial != nil {
				t.DialContext = cfg.Dial
			}
		})
}

// followSameMethod follows redirects that repeat the same request elsewhere, and
// returns any other redirect as the response.
func followSameMethod(r *http.Request, via []*http.Request) error {
	switch code := r.Response.StatusCode; {
	case len(via) > maxAttempts:
		return http.ErrUseLastResponse
	case code == http.StatusTemporaryRedirect, code == http.StatusPermanentRedirect:
		return nil
	}
	return http.ErrUseLastResponse
}

// Bucket returns a bucket of the store, which need not exist yet.
func (c *Client) Bucket(name string) *Bucket {
	return &Bucket{client: c, name: name}
}

// Bucket is one bucket of the store.
type Bucket struct {
	client *Client
	name   string
}

// Name returns the name of the bucket.
func (b *Bucket) Name() string { return b.name }

// Ensure creates the bucket unless it exists.
func (b *Bucket) Ensure(ctx context.Context) error {
	_, err := b.client.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	if err == nil {
		return nil
	}
	if !errors.Is(withErrNotExist(err), fs.ErrNotExist) {
		return fmt.Errorf("check bucket %s: %w", b.name, err)
	}
	in := &s3.CreateBucketInput{Bucket: &b.name}
	if b.client.region != "us-east-1" { // S3 refuses us-east-1 as a constraint
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(b.client.region),
		}
	}
	_, err = b.client.api.CreateBucket(ctx, in)
	if _, ok := errors.AsType[*types.BucketAlreadyOwnedByYou](err); ok {
		return nil // another process created it first
	}
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", b.name, err)
	}
	return nil
}

// withErrNotExist wraps the various "not found" errors of stores in fs.ErrNotExist
// and returns other errors unchanged.
func withErrNotExist(err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	switch api.ErrorCode() {
	case "NoSuchKey", "NotFound", "NoSuchBucket":
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}
