package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

const (
	firstPause = 100 * time.Millisecond // before the second attempt; doubles with each
	maxPause   = 15 * time.Second       // longest pause, unless Retry-After is longer
	maxAnswer  = 4 << 20                // bytes that are read of an answer
)

// batch holds the items of one request.
type batch struct {
	appKey     string // of the request
	asTheyWere bool   // the events are stored as they are: they were accepted once, with the country that they had
	items      []item
	bytes      int
}

func (b *batch) add(it item) {
	b.items = append(b.items, it)
	b.bytes += len(it.text)
}

// send sends a batch. It rejects the items that the server names as bad and sends
// the others again, until the server has stored them.
func (im *importer) send(ctx context.Context, b batch) error {
	if im.limiter != nil {
		if err := im.limiter.WaitN(ctx, len(b.items)); err != nil {
			return err
		}
	}
	for len(b.items) > 0 {
		a, err := im.post(ctx, b)
		if err != nil {
			return err
		}
		switch {
		case a.status/100 == 2:
			im.sent.Add(int64(len(b.items)))
			return nil
		case a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge:
			return fmt.Errorf("the server refuses the request: %s", a)
		case len(a.Errors) > 0:
			if b.items, err = im.rejectNamed(b, a.Errors); err != nil {
				return err
			}
		case len(b.items) == 1:
			return im.reject(b.items[0], schemas.ItemError{Reason: a.Message})
		default:
			return im.sendHalves(ctx, b)
		}
	}
	return nil
}

// rejectNamed rejects the items that an answer names and returns the others.
func (im *importer) rejectNamed(b batch, named []schemas.ItemError) ([]item, error) {
	reasons := map[int]schemas.ItemError{}
	for _, e := range named {
		if _, seen := reasons[e.Index]; !seen && e.Index >= 0 && e.Index < len(b.items) {
			reasons[e.Index] = e
		}
	}
	if len(reasons) == 0 {
		return nil, fmt.Errorf("the answer names no item of the %d sent: %v", len(b.items), named)
	}
	var rest []item
	for i, it := range b.items {
		why, bad := reasons[i]
		if !bad {
			rest = append(rest, it)
			continue
		}
		if err := im.reject(it, why); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// sendHalves sends a batch that was refused as a whole in two parts. Repeated
// halving isolates the item that is to blame.
func (im *importer) sendHalves(ctx context.Context, b batch) error {
	middle := len(b.items) / 2
	for _, half := range [][]item{b.items[:middle], b.items[middle:]} {
		part := batch{appKey: b.appKey, asTheyWere: b.asTheyWere}
		for _, it := range slices.Clip(half) {
			part.add(it)
		}
		if err := im.send(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// response is an answer of the server.
type response struct {
	status  int
	wait    time.Duration // Retry-After
	Message string        `json:"message"`
	Errors  []schemas.ItemError
}

func (a response) String() string {
	return fmt.Sprintf("%d %s: %s", a.status, http.StatusText(a.status), a.Message)
}

// retryable reports whether the same request may succeed later.
func (a response) retryable() bool {
	return a.status == http.StatusRequestTimeout || a.status == http.StatusTooManyRequests || a.status >= 500
}

// post sends a batch until the answer is final, and gives up opts.RetryFor after
// the first attempt. When ctx ends it waits for the request in flight but does
// not repeat it.
func (im *importer) post(ctx context.Context, b batch) (response, error) {
	body, err := b.body()
	if err != nil {
		return response{}, err
	}
	started, pause := time.Now(), firstPause
	for {
		a, err := im.postOnce(ctx, body, b.asTheyWere)
		if err == nil && !a.retryable() {
			return a, nil
		}
		if err == nil {
			err = errors.New(a.String())
		}
		wait := max(a.wait, pause/2+rand.N(pause)) //nolint:gosec // jitter: senders that failed together retry at different times
		if time.Since(started)+wait > im.opts.RetryFor {
			return a, fmt.Errorf("given up after %s: %w", time.Since(started).Round(time.Second), err)
		}
		im.retries.Add(1)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return a, ctx.Err()
		}
		pause = min(2*pause, maxPause)
	}
}

// body returns the request body with all items of b.
func (b batch) body() ([]byte, error) {
	body := make([]byte, 0, b.bytes+64*len(b.items)+16)
	body = append(body, '{')
	if b.appKey != "" {
		body, _ = jsontext.AppendQuote(append(body, `"app_key":`...), b.appKey) // it is valid UTF-8
		body = append(body, ',')
	}
	body = append(body, `"data":[`...)
	for i, it := range b.items {
		event, err := it.event()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", it.line, err)
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, event...)
	}
	return append(body, `]}`...), nil
}

// postOnce sends one request. It ignores the end of ctx, so that an interrupted
// import knows whether its last requests were stored.
func (im *importer) postOnce(ctx context.Context, body []byte, asTheyWere bool) (response, error) {
	var a response
	r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, im.target, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	r.SetBasicAuth(im.opts.Key, im.secret)
	r.Header.Set("Content-Type", "application/json")
	if asTheyWere {
		r.Header.Set("Weir-Geoip", "off")
	}
	resp, err := im.client.Do(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }() // read up to maxAnswer
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a, err
	}
	a.status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		a.wait = time.Duration(seconds) * time.Second
	}
	if err := json.Unmarshal(text, &a); err != nil {
		a.Message = string(text[:min(len(text), 200)]) // the answer of a proxy
	}
	return a, nil
}
