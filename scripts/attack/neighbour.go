package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

func dialAsNeighbour(ctx context.Context, addr string) (net.Conn, error) {
	return dialFrom(ctx, addr, neighbourAddr)
}

// use is one thing the neighbour does again and again.
type use struct {
	name  string
	every time.Duration
	do    func(ctx context.Context) error
}

// sample is how a use went.
type sample struct {
	use  string
	at   time.Time
	took time.Duration // from when it was due, so that waiting counts
	err  error
}

// neighbour uses the server as a customer does, at a fixed pace.
type neighbour struct {
	uses []use

	mu      sync.Mutex
	samples []sample
}

// inFlight bounds the requests of one use that wait for their answer; what would
// exceed it counts as failed. Of ingest these are the requests of 6 seconds.
const inFlight = 256

var errWedged = fmt.Errorf("%d earlier requests still wait", inFlight)

// batches is how many requests with events the neighbour sends a second.
const batches = 40

// newNeighbour logs the neighbour in and prepares its uses. It sends rate events a second.
func newNeighbour(ctx context.Context, w *world, rate int) (*neighbour, error) {
	size := rate / batches
	acc, ingest, query := w.Neighbour, newClient(32, dialAsNeighbour), newClient(16, dialAsNeighbour)
	if err := acc.login(ctx, query, w.URL); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	question := []byte(`{"startDate":"NOW-19","stopDate":"NOW","dateSplit":"day","clientStatus":["new","active"]}`)
	link, err := downloadLink(ctx, query, acc, w.URL)
	if err != nil {
		return nil, fmt.Errorf("get a download link: %w", err)
	}
	return &neighbour{uses: []use{
		{"ingest", time.Second / batches, func(ctx context.Context) error {
			_, err := answer(ingest, acc.report(ctx, w.URL, batch(size, 20_000_000_000, time.Now())))
			return err
		}},
		{"report", 250 * time.Millisecond, func(ctx context.Context) error {
			_, err := answer(query, newRequest(ctx, http.MethodPost, w.URL+"/v3/reporting/generic/dateRange/"+acc.Product, question))
			return err
		}},
		{"fresh", time.Second, func(ctx context.Context) error { return fresh(ctx, query, acc, w.URL) }},
		{"login", 500 * time.Millisecond, func(ctx context.Context) error {
			return acc.login(ctx, newClient(1, dialAsNeighbour), w.URL)
		}},
		{"download", 500 * time.Millisecond, func(ctx context.Context) error {
			return download(ctx, query, link)
		}},
	}}, nil
}

// downloadLink gets the link of the raw export of today.
func downloadLink(ctx context.Context, c *http.Client, acc account, url string) (string, error) {
	file := fmt.Appendf(nil, `{"fileName":"%s_%s.zip"}`, acc.Product, time.Now().UTC().Format(time.DateOnly))
	text, err := answer(c, newRequest(ctx, http.MethodPost, url+"/v3/rawEvents/download/getDownloadUrl/"+acc.Product, file))
	if err != nil {
		return "", err
	}
	var link struct {
		URL string `json:"downloadUrl"`
	}
	return link.URL, json.Unmarshal(text, &link)
}

func download(ctx context.Context, c *http.Client, link string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return err
	}
	zip, err := answer(c, req)
	if err == nil && !bytes.HasPrefix(zip, []byte("PK")) {
		err = errors.New("the download is no zip file")
	}
	return err
}

// run uses the server until ctx ends and every use has its answer.
func (n *neighbour) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, u := range n.uses {
		wg.Go(func() { n.runUse(ctx, u) })
	}
	wg.Wait()
}

func (n *neighbour) runUse(ctx context.Context, u use) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, inFlight)
	for due := time.Now(); ctx.Err() == nil; due = due.Add(u.every) {
		pause(ctx, time.Until(due))
		select {
		case places <- struct{}{}:
		default:
			n.note(sample{u.name, due, time.Since(due), errWedged})
			continue
		}
		wg.Go(func() {
			defer func() { <-places }()
			err := u.do(context.WithoutCancel(ctx))
			n.note(sample{u.name, due, time.Since(due), err})
		})
	}
}

func (n *neighbour) note(s sample) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.samples = append(n.samples, s)
}

// stats says how the uses that were due between two times went.
type stats map[string]useStats

type useStats struct {
	count, errors int
	p99           time.Duration
	err           error // one of the errors
}

func (n *neighbour) between(from, until time.Time) stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	took := map[string][]time.Duration{}
	result := stats{}
	for _, s := range n.samples {
		if s.at.Before(from) || !s.at.Before(until) {
			continue
		}
		u := result[s.use]
		u.count++
		if s.err != nil {
			u.errors++
			u.err = s.err
		}
		took[s.use] = append(took[s.use], s.took)
		result[s.use] = u
	}
	for name, all := range took {
		slices.Sort(all)
		u := result[name]
		u.p99 = all[(len(all)-1)*99/100]
		result[name] = u
	}
	return result
}
