package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// floodSize is how many connections a flood holds, and how many times it opens others
// in place of those that were closed.
const (
	floodSize  = 600
	floodTries = 40
)

// connectionsAttacks are connections that talk slowly, or too many.
func connectionsAttacks() []attack {
	return []attack{
		{name: "stalled bodies", who: "stranger", what: "declares bodies and sends one byte, of every path and status", run: stalledBodies},
		{name: "dripped headers", who: "stranger", what: "sends headers a byte at a time over 300 connections", run: drippedHeaders},
		{name: "idle connections", who: "stranger", what: "asks once over each of 600 connections and says no more", run: idleConnections},
		{name: "readers that stop", who: "stranger", what: "asks for a document a hundred times in a row and reads nothing", run: silentReaders},
		{name: "connections to every address", who: "local user", what: "holds 600 silent connections to each listener", run: floodOfConnections},
	}
}

// talk opens a connection, sends a text, and calls then.
func (t *target) talk(ctx context.Context, addr, text string, then func(net.Conn)) error {
	conn, err := t.dialTo(ctx, addr, "")
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the server may have closed it first
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	then(conn)
	return nil
}

// readAll counts the first answer and waits for the end of the connection.
func (t *target) readAll(conn net.Conn) {
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.count("none")
		return
	}
	t.count(fmt.Sprint(resp.StatusCode))
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	_, _ = io.Copy(io.Discard, in)
}

func stalledBodies(ctx context.Context, t *target) error {
	lines := []string{
		"POST /v1/event/report", "POST /v1/nothing", "PUT /v1/event/report", "GET /healthz", "GET /openapi/", "GET /nothing",
		"POST /v3/auth/web", "POST /analytics/api/v1/events",
	}
	bodies := []string{"Content-Length: 100\r\n\r\n{", "Content-Length: 4000000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"}
	workers(100, func(i int) {
		text := lines[i%len(lines)] + " HTTP/1.1\r\nHost: weir\r\n" + bodies[i%len(bodies)]
		repeat(ctx, 1000, func() error { return t.talk(ctx, t.World.Addr, text, t.readAll) })
	})
	return nil
}

func drippedHeaders(ctx context.Context, t *target) error {
	workers(300, func(int) {
		repeat(ctx, 100, func() error {
			return t.talk(ctx, t.World.Addr, "GET / HTTP/1.1\r\nX: ", func(conn net.Conn) {
				for ctx.Err() == nil {
					if _, err := io.WriteString(conn, "x"); err != nil {
						t.count("closed")
						return
					}
					pause(ctx, 500*time.Millisecond)
				}
			})
		})
	})
	return nil
}

func idleConnections(ctx context.Context, t *target) error {
	workers(floodSize, func(int) {
		repeat(ctx, floodTries, func() error {
			return t.talk(ctx, t.World.Addr, "GET /healthz HTTP/1.1\r\nHost: weir\r\n\r\n", t.readAll)
		})
	})
	return nil
}

func silentReaders(ctx context.Context, t *target) error {
	workers(50, func(int) {
		repeat(ctx, floodTries, func() error {
			text := strings.Repeat("GET /openapi/reporting.yaml HTTP/1.1\r\nHost: weir\r\n\r\n", 100)
			return t.talk(ctx, t.World.Addr, text, func(net.Conn) { <-ctx.Done() })
		})
	})
	return nil
}

func floodOfConnections(ctx context.Context, t *target) error {
	addrs := []string{t.World.Addr, t.World.Admin, t.World.Kafka, t.World.S3}
	workers(floodSize*len(addrs), func(i int) {
		repeat(ctx, floodTries, func() error {
			return t.talk(ctx, addrs[i%len(addrs)], "", func(conn net.Conn) {
				_, _ = io.Copy(io.Discard, conn)
				t.count("closed")
			})
		})
	})
	return nil
}
