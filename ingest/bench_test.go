package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kfake"

	"weir/schemas/topic"
)

// batchBody returns a request of n typical events of about 255 bytes.
func batchBody(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"app_key":"96441e4d73207a6517abfbbc","data":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"euid":%d,"event_name":"edit","itime":%d,"random_id":"33c5991a-11ef-2eb7-02b1-%012x",`+
			`"properties":{"$category":"modules","$value":%d.5,"$session_id":"s%05d","$client":{"prodVersion":"1.4.2","C01":"x"},`+
			`"language":"Go","files":%d}}`, 10000091198+i, 1654076420772+i, i, i, i%7, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	body := batchBody(100)
	b.Run("tokens", func(b *testing.B) { // the floor: the same bytes, read token by token
		var dec jsontext.Decoder
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			dec.Reset(bytes.NewBuffer(body))
			for {
				if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
					break
				}
			}
		}
		b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("events", func(b *testing.B) {
		d := new(decoder)
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			d.reset(1001, math.MaxInt64)
			d.body = append(d.body[:0], body...)
			if _, err := d.decodeEvents(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("records", func(b *testing.B) { benchmarkRecords(b, new(decoder), body) })
}

// benchmarkRecords decodes a body of 100 events and encodes their records.
func benchmarkRecords(b *testing.B, d *decoder, body []byte) {
	recs := new(batch)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d.reset(1001, math.MaxInt64)
		d.body = append(d.body[:0], body...)
		events, err := d.decodeEvents()
		if err != nil {
			b.Fatal(err)
		}
		if err := recs.load(events, topic.DefaultShards, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkEdge measures a whole request: authentication, decoding, encoding of
// records, and the acknowledgement of an in-process broker on loopback that stores
// nothing. 64 clients call the handler concurrently.
func BenchmarkEdge(b *testing.B) {
	e := newTestEdge(b, Config{}, kfake.BlackholeProduce())
	body := batchBody(100)
	handler := e.Service.Handler()
	b.SetBytes(int64(len(body)))
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, pathReport, bytes.NewReader(body))
			r.SetBasicAuth("key1", "key1-secret")
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Errorf("%d %s", w.Code, w.Body)
				return
			}
		}
	})
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkCompact compares appendCompact with the library's compaction.
func BenchmarkCompact(b *testing.B) {
	value := jsontext.Value(`{"name": "a long enough text", "tags": ["a", "b", "c"], "size": {"w": 100, "h": 200}}`)
	buf := make([]byte, 0, len(value))
	b.Run("appendCompact", func(b *testing.B) {
		b.SetBytes(int64(len(value)))
		for b.Loop() {
			buf, _, _ = appendCompact(buf[:0], value)
		}
	})
	b.Run("jsontext", func(b *testing.B) {
		b.SetBytes(int64(len(value)))
		for b.Loop() {
			v := jsontext.Value(append(buf[:0], value...))
			if err := v.Compact(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
