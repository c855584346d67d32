package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

// embeddedAttacks are local users at the embedded broker, the embedded store and the admin listener.
func embeddedAttacks() []attack {
	return []attack{
		{
			name: "broker without a login", who: "local user", what: "lists topics, fetches, produces, deletes the topic, makes 5 million partitions",
			run: brokerRequests,
		},
		{
			name: "garbage to the broker", who: "local user", what: "sends frames that are too long, cut, of unknown kinds, or claim 2^32 tags",
			run: brokerGarbage,
		},
		{
			name: "silent broker connections", who: "local user", what: "opens 500 connections to the broker, says nothing, and opens others when they close",
			run: brokerSilence,
		},
		{
			name: "store without keys", who: "local user", what: "asks for objects unsigned, with an unknown key, with garbage",
			run: storeRequests,
		},
		{
			name: "admin with a foreign Host", who: "local user", what: "asks for profiles and metrics as a web page with a name of its own for 127.0.0.1",
			run: adminRequests,
		},
	}
}

// frame writes a request of the Kafka protocol: a header of version 1 and a body.
func frame(key, version int16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)      // correlation id
	b = binary.BigEndian.AppendUint16(b, 0xffff) // no client id
	b = append(b, body...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// kafkaText writes a string as requests of the first versions have it.
func kafkaText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// errTold means that the broker answered a stranger.
var errTold = errors.New("the broker answered a request without a login")

// ask sends bytes over a new connection and reports what came back: "closed" or
// "silent" are as they should be.
func (t *target) ask(ctx context.Context, addr string, sent []byte) (string, error) {
	conn, err := t.dialTo(ctx, addr, attackerAddr)
	if err != nil {
		return "none", err
	}
	defer conn.Close() //nolint:errcheck // only read from
	_, _ = conn.Write(sent)
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	n, err := conn.Read(make([]byte, 1))
	switch {
	case n > 0:
		return "answered", nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silent", nil
	}
	return "closed", nil
}

func brokerRequests(ctx context.Context, t *target) error {
	events := kafkaText("weir-events")
	one := []byte{0, 0, 0, 1}
	partitions := append(append(append([]byte{}, one...), events...), 0, 0x4c, 0x4b, 0x40, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0) // 5,000,000, 1 copy
	timeout := []byte{0, 0, 0x27, 0x10}
	requests := [][]byte{
		frame(3, 0, []byte{0, 0, 0, 0}), // Metadata: all topics
		frame(1, 4, append([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0, 0}, append(one, events...)...)), // Fetch
		frame(0, 3, append([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1}, append(one, events...)...)),                               // Produce
		frame(20, 0, append(append(append([]byte{}, one...), events...), timeout...)),                                            // DeleteTopics
		frame(19, 0, append(partitions, timeout...)),                                                                             // CreateTopics
		frame(37, 0, append(append(append([]byte{}, one...), events...), 0, 0x4c, 0x4b, 0x40, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x27, 0x10, 0)),
	}
	return t.askEach(ctx, requests)
}

// askEach sends each of requests again and again over eight connections at a time.
func (t *target) askEach(ctx context.Context, requests [][]byte) error {
	told := make(chan error, 8)
	workers(8, func(i int) {
		n := i
		repeat(ctx, 2000, func() error {
			n++
			what, err := t.ask(ctx, t.World.Kafka, requests[n%len(requests)])
			t.count(what)
			if what == "answered" {
				select {
				case told <- fmt.Errorf("%w: request %d", errTold, n%len(requests)):
				default:
				}
			}
			return err
		})
	})
	select {
	case err := <-told:
		return err
	default:
		return nil
	}
}

func brokerGarbage(ctx context.Context, t *target) error {
	long := binary.BigEndian.AppendUint32(nil, 2<<30)
	tags := frame(18, 3, []byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	return t.askEach(ctx, [][]byte{
		append(long, frame(0, 3, nil)[4:]...),
		frame(12345, 0, nil), frame(-1, 0, nil), frame(18, -1, nil), frame(0, 32767, make([]byte, 64)),
		append([]byte{0, 0x10, 0, 0}, make([]byte, 4096)...),
		{0, 0, 0, 1, 0},
		[]byte("GET / HTTP/1.1\r\nHost: weir\r\n\r\n"), tags,
		frame(36, 1, []byte{0xff, 0xff, 0xff, 0xff}),
		frame(17, 1, []byte{0x7f, 0xff, 'S'}),
	})
}

func brokerSilence(ctx context.Context, t *target) error {
	workers(500, func(int) {
		repeat(ctx, 20, func() error {
			conn, err := t.dialTo(ctx, t.World.Kafka, attackerAddr)
			if err != nil {
				t.count("none")
				return err
			}
			defer conn.Close() //nolint:errcheck // only read from
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			_, _ = conn.Read(make([]byte, 1))
			t.count("closed")
			return errors.New("wait a moment")
		})
	})
	return nil
}

func storeRequests(ctx context.Context, t *target) error {
	c := t.client(16)
	key := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/" + time.Now().UTC().Format("20060102") +
		"/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + fmt.Sprintf("%064d", 0)
	paths := []string{"/", "/weir-lake", "/weir-lake/metadata", "/weir-exports?list-type=2", "/weir-lake/%2e%2e/%2e%2e/weir.db", "/weir-lake?X-Amz-Signature=1"}
	var open error
	for i := 0; i < 3000 && ctx.Err() == nil; i++ {
		req := newRequest(ctx, []string{"GET", "PUT", "DELETE"}[i%3], "http://"+t.World.S3+paths[i%len(paths)], nil)
		req.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
		req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		switch i / 3 % 3 {
		case 1:
			req.Header.Set("Authorization", key)
		case 2:
			req.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+randomID())
		}
		status, _, err := t.do(c, req, 1<<20)
		if err == nil && status < 400 {
			open = fmt.Errorf("the store answered %s %s with %d", req.Method, req.URL.Path, status)
		}
	}
	return open
}

func adminRequests(ctx context.Context, t *target) error {
	c := t.client(4)
	var open error
	for i := 0; i < 2000 && ctx.Err() == nil; i++ {
		path := []string{"/metrics", "/check?deep=1", "/debug/pprof/heap", "/debug/pprof/profile?seconds=5", "/debug/pprof/cmdline"}[i%5]
		req := newRequest(ctx, http.MethodGet, "http://"+t.World.Admin+path, nil)
		req.Host = []string{"evil.example", "evil.example:" + strconv.Itoa(i), "127.0.0.1.evil.example", "192.0.2.1"}[i%4]
		status, _, err := t.do(c, req, 1<<20)
		if err == nil && status < 400 {
			open = fmt.Errorf("the admin listener answered %s for Host %s with %d", path, req.Host, status)
		}
	}
	return open
}
