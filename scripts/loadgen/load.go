package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load describes what to send and where. Bodies are made once and only their
// random ids and times are overwritten, so that the sender uses little of the
// CPU that it shares with the server.
type Load struct {
	URL         string
	Key, Secret string
	Rate        int // events a second over all connections; 0 is as fast as it goes
	Duration    time.Duration
	Batch       int
	Connections int
	Clients     int
}

// Report holds the counts and latencies of a load.
type Report struct {
	Sent         int64 // events in requests that were sent whole
	Acknowledged int64 // events in requests that were answered 200
	Refused      int64 // requests answered 429 or 503
	Failed       int64 // requests that broke or were answered in another way
	LastFailure  string
	Took         time.Duration
	Latencies    []time.Duration // of acknowledged requests, sorted
}

func (l Load) check() (*url.URL, error) {
	u, err := url.Parse(l.URL)
	if err != nil {
		return nil, err
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()):
		return nil, fmt.Errorf("--url %s is not http on this machine; loadgen sends to no other host", l.URL)
	case l.Key == "" || l.Secret == "":
		return nil, errors.New("a load needs --key and WEIR_SECRET")
	case l.Duration <= 0 || l.Duration > time.Hour:
		return nil, errors.New("--duration must be up to an hour")
	}
	return u, l.checkSizes()
}

func (l Load) checkSizes() error {
	if l.Batch < 1 || l.Batch > 1000 || l.Connections < 1 || l.Connections > 512 || l.Rate < 0 || l.Clients < 1 {
		return errors.New("--batch is 1 to 1000, --connections 1 to 512, --rate 0 or more, --load-clients 1 or more")
	}
	return nil
}

// Run sends until the duration is over or ctx ends, and waits for the last
// answers.
func (l Load) Run(ctx context.Context) (*Report, error) {
	u, err := l.check()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.Duration)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var next atomic.Int64
	total, start := new(Report), time.Now()
	run := rand.Uint32() //nolint:gosec // keeps the random ids of two runs apart
	for i := range l.Connections {
		wg.Go(func() {
			s := &sender{load: l, host: u.Host, body: l.newTemplate(run, uint64(i)), next: &next, start: start, index: i}
			s.run(ctx)
			mu.Lock()
			defer mu.Unlock()
			total.add(s.report)
		})
	}
	wg.Wait()
	total.Took = time.Since(start)
	slices.Sort(total.Latencies)
	return total, nil
}

func (r *Report) add(o Report) {
	r.Sent, r.Acknowledged = r.Sent+o.Sent, r.Acknowledged+o.Acknowledged
	r.Refused, r.Failed = r.Refused+o.Refused, r.Failed+o.Failed
	r.LastFailure = cmp.Or(r.LastFailure, o.LastFailure)
	r.Latencies = append(r.Latencies, o.Latencies...)
}

func (r *Report) print(w io.Writer) error {
	at := func(q float64) time.Duration {
		if len(r.Latencies) == 0 {
			return 0
		}
		return r.Latencies[int(q*float64(len(r.Latencies)-1))].Round(10 * time.Microsecond)
	}
	_, err := fmt.Fprintf(w, "acknowledged %d of %d events in %.2fs: %.0f events/s\nlatency p50 %v p90 %v p99 %v max %v\nrefused %d failed %d requests\n",
		r.Acknowledged, r.Sent, r.Took.Seconds(), float64(r.Acknowledged)/r.Took.Seconds(),
		at(.5), at(.9), at(.99), at(1), r.Refused, r.Failed)
	if err == nil && r.LastFailure != "" {
		_, err = fmt.Fprintln(w, "last failure:", r.LastFailure)
	}
	return err
}

// requestTemplate holds the bytes of a request and the positions of the parts that
// change.
type requestTemplate struct {
	text  []byte
	ids   []int // last 16 digits of each random id
	times []int // 13 digits each
}

const (
	idMark   = "IIIIIIIIIIIIIIII"
	timeMark = "TTTTTTTTTTTTT"
)

// newTemplate returns a body of l.Batch believable events of about 255 bytes.
func (l Load) newTemplate(run uint32, stream uint64) requestTemplate {
	rnd := rand.New(rand.NewPCG(1, stream)) //nolint:gosec // events are to be believable, not secret
	var b strings.Builder
	b.WriteString(`{"app_key":"loadgen","data":[`)
	for i := range l.Batch {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"euid":%d,"event_name":"%s","itime":%s,"random_id":"%08x-0000-4000-%s",`+
			`"properties":{"$category":"%s","$value":%d,"$session_id":"s%06d","$client":{"prodVersion":"1.%d.0","geography.country":"%s"},`+
			`"page":%d,"saved":true}}`, 10_000_000_000+rnd.IntN(l.Clients), oneOf(rnd, "view", "view", "edit", "search"), timeMark, run, idMark,
			oneOf(rnd, "docs", "blog", "shop"), rnd.IntN(100), rnd.IntN(1_000_000), rnd.IntN(5), oneOf(rnd, "DE", "US", "CL"), rnd.IntN(200))
	}
	b.WriteString(`]}`)
	t := requestTemplate{text: []byte(b.String())}
	t.ids, t.times = findAll(t.text, idMark), findAll(t.text, timeMark)
	return t
}

// findAll returns the positions of mark in text.
func findAll(text []byte, mark string) []int {
	var at []int
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(mark))
		if i < 0 {
			return at
		}
		at = append(at, from+i)
		from += i + len(mark)
	}
}

// stamp writes the numbers from first on into the random ids, and the current time.
func (b requestTemplate) stamp(first int64) {
	var number [8]byte
	now := strconv.AppendInt(nil, time.Now().UnixMilli(), 10)
	for i, at := range b.ids {
		n := uint64(first) + uint64(i)
		for j := range number {
			number[j] = byte(n >> (56 - 8*j))
		}
		hex.Encode(b.text[at:at+16], number[:])
		copy(b.text[b.times[i]:], now)
	}
}

// sender is one connection.
type sender struct {
	load   Load
	host   string
	body   requestTemplate
	next   *atomic.Int64 // number of the next event of all senders
	start  time.Time
	index  int
	conn   net.Conn
	in     *bufio.Reader
	report Report
}

// run sends one request after the other. With a rate, a request has a time at
// which it is due, and its latency counts from then, so that the latencies of a
// server that falls behind include the time that requests waited.
func (s *sender) run(ctx context.Context) {
	defer s.closeConn()
	head := fmt.Appendf(nil, "POST /v1/event/report HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		s.host, base64.StdEncoding.EncodeToString([]byte(s.load.Key+":"+s.load.Secret)), len(s.body.text))
	var interval time.Duration
	if s.load.Rate > 0 {
		interval = time.Duration(float64(time.Second) * float64(s.load.Batch*s.load.Connections) / float64(s.load.Rate))
	}
	for due := s.start.Add(interval * time.Duration(s.index) / time.Duration(s.load.Connections)); ctx.Err() == nil; due = due.Add(interval) {
		if !sleepUntil(ctx, due) {
			return
		}
		if interval == 0 {
			due = time.Now()
		}
		s.body.stamp(s.next.Add(int64(s.load.Batch)) - int64(s.load.Batch))
		if err := s.send(ctx, head, due); err != nil {
			s.report.Failed++
			s.report.LastFailure = err.Error()
			s.closeConn()
			sleepUntil(ctx, time.Now().Add(200*time.Millisecond))
		}
	}
}

// send sends one request over a connection that stays open, and handles the response. The
// whole request is one write, so that the sender costs one system call.
func (s *sender) send(ctx context.Context, head []byte, due time.Time) error {
	if s.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.host)
		if err != nil {
			return err
		}
		s.conn, s.in = conn, bufio.NewReader(conn)
	}
	parts := net.Buffers{head, s.body.text}
	if _, err := parts.WriteTo(s.conn); err != nil {
		return err
	}
	s.report.Sent += int64(s.load.Batch)
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return s.handleResponse(ctx, answer, text, due)
}

// handleResponse counts a response. After 429 and 503 it waits as long as Retry-After
// says, as a well-behaved client does.
func (s *sender) handleResponse(ctx context.Context, answer *http.Response, text []byte, due time.Time) error {
	switch answer.StatusCode {
	case http.StatusOK:
		s.report.Acknowledged += int64(s.load.Batch)
		s.report.Latencies = append(s.report.Latencies, time.Since(due))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		s.report.Refused++
		after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		sleepUntil(ctx, time.Now().Add(time.Duration(max(after, 1))*time.Second))
	default:
		return fmt.Errorf("%s: %.300s", answer.Status, text)
	}
	if answer.Close {
		s.closeConn()
	}
	return nil
}

func (s *sender) closeConn() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// sleepUntil reports whether the time came before ctx ended.
func sleepUntil(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
