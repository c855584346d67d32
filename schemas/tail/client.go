package tail

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Config configures a Client.
type Config struct {
	Secret      string           // of the cluster; the same in every process
	DialTimeout time.Duration    // to connect; 0 means 500ms
	Timeout     time.Duration    // for a whole response; 0 means 10s
	MaxBytes    int64            // of batches in one response; 0 means 256 MiB
	Allocator   memory.Allocator // for the batches; nil means Go's heap

	Dial func(ctx context.Context, network, address string) (net.Conn, error) // makes connections; nil is the usual way
}

func (c Config) withDefaults() Config {
	c.DialTimeout = cmp.Or(c.DialTimeout, 500*time.Millisecond)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.MaxBytes = cmp.Or(c.MaxBytes, 256<<20)
	if c.Allocator == nil {
		c.Allocator = memory.DefaultAllocator
	}
	return c
}

// Client fetches tails from owners. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// NewClient returns a client that keeps connections to owners open.
func NewClient(cfg Config) *Client {
	cfg = cfg.withDefaults()
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport: &http.Transport{
			DialContext:           cfg.Dial,
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       time.Minute,
			ResponseHeaderTimeout: cfg.Timeout,
			DisableCompression:    true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Fetch sends req to the owner at addr (host:port) and returns one Part for each
// shard of req.From, ordered by shard. The caller releases the parts. If the owner
// has no rows of a shard, Part.Err says why; an error of Fetch itself means that
// nothing is known about any shard.
func (c *Client) Fetch(ctx context.Context, addr string, req Request) ([]Part, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	resp, err := c.post(ctx, addr, req)
	if err != nil {
		return nil, fmt.Errorf("fetch tail of %s: %w", addr, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	parts, err := c.read(resp.Body, req)
	if err != nil {
		return nil, fmt.Errorf("read tail of %s: %w", addr, err)
	}
	return parts, nil
}

// post sends the request and returns a response of status 200, whose body the caller
// closes.
func (c *Client) post(ctx context.Context, addr string, req Request) (*http.Response, error) {
	body, err := encodeRequest(req)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+Path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.cfg.Secret)
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // best effort: the status decides
	resp.Body.Close()                                       //nolint:errcheck // as above
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, ErrDenied
	}
	return nil, fmt.Errorf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
}

// read decodes a response and checks it against the request.
func (c *Client) read(body io.Reader, req Request) ([]Part, error) {
	frames := &frameReader{r: bufio.NewReaderSize(body, 64<<10), mem: c.cfg.Allocator, remaining: c.cfg.MaxBytes}
	heads, err := frames.readHeader()
	if err != nil {
		return nil, err
	}
	parts, err := newParts(heads, req)
	if err != nil {
		return nil, err
	}
	if err := frames.readBatches(parts); err != nil {
		for i := range parts {
			parts[i].Release()
		}
		return nil, err
	}
	return parts, nil
}

// newParts turns the header into parts, and checks that they are exactly the
// requested shards from the requested offsets.
func newParts(heads []partHeader, req Request) ([]Part, error) {
	shards := sortedShards(req.From)
	if len(heads) != len(shards) {
		return nil, fmt.Errorf("%w: %d parts for %d shards", ErrCorrupt, len(heads), len(shards))
	}
	parts := make([]Part, len(heads))
	for i, h := range heads {
		reason := errorFromCode(h.Error)
		if errors.Is(reason, ErrCorrupt) {
			return nil, reason
		}
		if h.Shard != shards[i] || h.From != req.From[h.Shard] || (reason == nil && h.Next < h.From) {
			return nil, fmt.Errorf("%w: shard %d from %d next %d", ErrCorrupt, h.Shard, h.From, h.Next)
		}
		parts[i] = Part{
			Shard: h.Shard, Epoch: h.Epoch, From: h.From, Next: h.Next, LogTime: h.LogTime, ReadAt: h.ReadAt, End: h.End, Err: reason,
		}
	}
	return parts, nil
}
