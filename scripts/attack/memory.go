package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	bodyLimit  = 4 << 20 // of the Ingestion API
	bodySender = 128     // connections that send large bodies at once
)

// memoryAttacks are bodies that take memory.
func memoryAttacks() []attack {
	return []attack{
		{
			name: "silent large bodies", who: "one account", what: "declares 4 MiB on 64 connections, sends one byte of each and waits",
			run: silentBodies,
		},
		{
			name: "large bodies", who: "one account", what: "sends 128 bodies of 4 MB at once, again and again",
			run: func(ctx context.Context, t *target) error { return sendBodies(ctx, t, "", largeBatch()) },
		},
		{
			name: "gzip bodies", who: "one account", what: "sends 128 honest gzip bodies of 4 MB at once, again and again",
			run: func(ctx context.Context, t *target) error { return sendBodies(ctx, t, "gzip", compress(largeBatch())) },
		},
		{
			name: "gzip bombs", who: "one account", what: "sends 128 gzip bodies of 1 GB of white space at once, again and again",
			run: func(ctx context.Context, t *target) error { return sendBodies(ctx, t, "gzip", bomb(1<<30)) },
		},
		{
			name: "bodies of tiny things", who: "one account", what: "sends 4 MB of empty events, of names in one object, and of $client names that grow when flattened",
			run: func(ctx context.Context, t *target) error {
				return sendBodies(ctx, t, "", tinyEvents(), manyNames(), longNames())
			},
		},
		{
			name: "many sources of one account", who: "one account", what: "sends batches of 200 events with 8 keys over 64 connections as fast as it can",
			run: manySources,
		},
	}
}

func silentBodies(ctx context.Context, t *target) error {
	acc := t.World.Attacker
	head := "POST /v1/event/report HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\nAuthorization: Basic " +
		base64.StdEncoding.EncodeToString([]byte(acc.Key+":"+acc.Secret)) + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n{", bodyLimit)
	workers(64, func(int) {
		repeat(ctx, 20, func() error {
			conn, err := t.dial(ctx)
			if err != nil {
				return err
			}
			defer conn.Close() //nolint:errcheck // nobody is left to tell
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			if _, err := io.WriteString(conn, head); err != nil {
				return err
			}
			answer := make([]byte, 64) // until the server ends it
			n, err := conn.Read(answer)
			t.count(statusOf(answer[:n]))
			return err
		})
	})
	return nil
}

// statusOf returns the status of an answer.
func statusOf(answer []byte) string {
	fields := bytes.Fields(answer)
	if len(fields) < 2 {
		return "none"
	}
	return string(fields[1])
}

// sendBodies sends bodies in turn over bodySender connections, at most 400 each.
func sendBodies(ctx context.Context, t *target, encoding string, bodies ...[]byte) error {
	c, acc := t.client(bodySender), t.World.Attacker
	workers(bodySender, func(i int) {
		repeat(ctx, 400, func() error {
			i++
			req := acc.report(ctx, t.World.URL, bodies[i%len(bodies)])
			if encoding != "" {
				req.Header.Set("Content-Encoding", encoding)
			}
			status, _, err := t.do(c, req, 1<<20)
			if err == nil && status != 200 {
				err = statusError{status: status}
			}
			return err
		})
	})
	return nil
}

func manySources(ctx context.Context, t *target) error {
	c, acc := t.client(64), t.World.Attacker
	workers(64, func(i int) {
		mine := acc
		if more := acc.MoreKeys; len(more) > 0 {
			mine.Key, mine.Secret = more[i%len(more)][0], more[i%len(more)][1]
		}
		repeat(ctx, 2000, func() error {
			_, _, err := t.do(c, mine.report(ctx, t.World.URL, batch(200, 40_000_000_000+int64(i)*1000, time.Now())), 1<<20)
			return err
		})
	})
	return nil
}

// largeBatch is an honest body of almost 4 MB: 900 events with many properties.
func largeBatch() []byte {
	return batchOf(900, func(i int) item {
		properties := map[string]any{"$category": "docs"}
		for k := range 60 {
			properties[fmt.Sprintf("property%d", k)] = fmt.Sprintf("the value %d of %d with some text of its own", k, i*k)
		}
		return item{EUID: 50_000_000_000 + int64(i), Name: "large", Time: time.Now().UnixMilli(), RandomID: randomID(), Properties: properties}
	})
}

// bomb is n bytes of white space, compressed.
func bomb(n int) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // never fails at this level
	space := bytes.Repeat([]byte(" "), 1<<20)
	for range n >> 20 {
		_, _ = z.Write(space) // never fails into memory
	}
	_ = z.Close()
	return b.Bytes()
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // never fails into memory
	_ = z.Close()
	return b.Bytes()
}

// tinyEvents is a body of more than a million events, all of them empty.
func tinyEvents() []byte {
	return []byte(`{"data":[` + strings.Repeat(`{},`, bodyLimit/3-20) + `{}]}`)
}

// manyNames is an event with an object of half a million names.
func manyNames() []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":[{"euid":1,"event_name":"a","itime":1700000000000,"other":{"":0`)
	for i := 0; b.Len() < bodyLimit-64; i++ {
		fmt.Fprintf(&b, `,"%x":0`, i)
	}
	b.WriteString(`}}]}`)
	return b.Bytes()
}

// longNames is a body whose $client objects are twenty times as long when their
// names are joined by dots.
func longNames() []byte {
	var props bytes.Buffer
	for i := range 480 {
		fmt.Fprintf(&props, `"%x":0,`, i)
	}
	one := fmt.Sprintf(`{"euid":1,"event_name":"a","itime":1700000000000,"properties":{"$client":{%q:{%s"z":0}}}}`, strings.Repeat("n", 250), props.String())
	n := (bodyLimit - 64) / (len(one) + 1)
	return []byte(`{"data":[` + strings.Repeat(one+",", n-1) + one + `]}`)
}
