// Package objects is Weir's one door to S3-compatible storage: the AWS SDK is
// used here and nowhere else. What Put and Upload answered with nil is stored;
// what is missing is fs.ErrNotExist; anything else was retried as long as it
// made sense and may be tried again by the caller.
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
	maxAttempts           = 6                // of one call, the first included
	maxBackoff            = 5 * time.Second  // between two attempts
	maxIdlePerHost        = 64               // connections kept; a cut puts several data files at once
	responseHeaderTimeout = 60 * time.Second // for the first byte of an answer; a store that hangs is a failed call
	dialTimeout           = 5 * time.Second
	maxDeleteKeys         = 1000 // keys in one DeleteObjects, the protocol's limit
)

// Config says where the storage is and as whom it is asked.
type Config struct {
	Endpoint  string // URL of the server; empty means AWS itself
	Region    string // empty means us-east-1
	AccessKey string // empty takes the SDK's own chain: variables, profile, instance role
	SecretKey string // goes with AccessKey
	PathStyle bool   // bucket in the path instead of the host name: what most servers but AWS want
}

// Client is a connection to one store, shared by all its buckets.
type Client struct {
	api    *s3.Client
	http   *http.Client
	region string
}

// Close lets go of idle connections: a server that drains waits for them.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Open makes a client. It does not talk to the store yet.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	region := cmp.Or(cfg.Region, "us-east-1")
	opts := []func(*config.LoadOptions) error{
		config.WithRegion(region),
		config.WithHTTPClient(httpClient()),
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
	// Only now: AWS_CA_BUNDLE wants to find the SDK's own client, which cannot
	// close its idle connections.
	caller := &http.Client{Transport: http.DefaultTransport, CheckRedirect: followSameMethod}
	if b, ok := loaded.HTTPClient.(*awshttp.BuildableClient); ok {
		caller.Transport = b.GetTransport()
	}
	loaded.HTTPClient = caller
	api := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		// The payload's SHA-256 is signed with every request. The SDK's newer
		// checksums on top of it travel as trailers that many servers refuse.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return &Client{api: api, http: caller, region: region}, nil
}

// newRetryer backs off with jitter, and slows all calls down when the store
// says that it is asked too much.
func newRetryer() aws.Retryer {
	return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(s *retry.StandardOptions) {
			s.MaxAttempts = maxAttempts
			s.MaxBackoff = maxBackoff
		})
	})
}

// httpClient keeps connections open. The SDK's own default keeps ten.
func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 0
			t.MaxIdleConnsPerHost = maxIdlePerHost
			t.ResponseHeaderTimeout = responseHeaderTimeout
			t.WriteBufferSize, t.ReadBufferSize = 32<<10, 32<<10
		})
}

// followSameMethod follows redirects that ask for the same request elsewhere;
// the others are answers.
func followSameMethod(r *http.Request, via []*http.Request) error {
	switch code := r.Response.StatusCode; {
	case len(via) > maxAttempts:
		return http.ErrUseLastResponse
	case code == http.StatusTemporaryRedirect, code == http.StatusPermanentRedirect:
		return nil
	}
	return http.ErrUseLastResponse
}

// Bucket is a bucket of the store. It need not exist yet.
func (c *Client) Bucket(name string) *Bucket {
	return &Bucket{client: c, name: name}
}

// Bucket is one bucket of the store.
type Bucket struct {
	client *Client
	name   string
}

// Name is the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Ensure makes the bucket unless it is there.
func (b *Bucket) Ensure(ctx context.Context) error {
	_, err := b.client.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	if err == nil {
		return nil
	}
	if !errors.Is(withErrNotExist(err), fs.ErrNotExist) {
		return fmt.Errorf("look for bucket %s: %w", b.name, err)
	}
	in := &s3.CreateBucketInput{Bucket: &b.name}
	if b.client.region != "us-east-1" { // which must not be named
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(b.client.region),
		}
	}
	_, err = b.client.api.CreateBucket(ctx, in)
	if _, ok := errors.AsType[*types.BucketAlreadyOwnedByYou](err); ok {
		return nil // somebody beside us was faster
	}
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", b.name, err)
	}
	return nil
}

// withErrNotExist turns every way a store says "not there" into fs.ErrNotExist and
// leaves other errors as they are.
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
