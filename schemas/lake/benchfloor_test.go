package lake_test

import (
	"io"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"weir/schemas/columns"
)

// floorRow is an event as parquet-go likes it best: a Go struct.
type floorRow struct {
	ProductID        int64     `parquet:"product_id,dict"`
	ClientID         int64     `parquet:"client_id,dict"`
	Time             int64     `parquet:"time,timestamp(microsecond),delta"`
	Name             string    `parquet:"name,dict"`
	Category         *string   `parquet:"category,dict"`
	Value            *[16]byte `parquet:"value"`
	SessionID        *string   `parquet:"session_id,dict"`
	RuntimeMS        *int64    `parquet:"runtime_ms"`
	RandomID         string    `parquet:"random_id"`
	AppKey           *string   `parquet:"app_key,dict"`
	AppName          *string   `parquet:"app_name,dict"`
	AppVersion       *string   `parquet:"app_version,dict"`
	ContentLocale    *string   `parquet:"content_locale,dict"`
	UILocale         *string   `parquet:"ui_locale,dict"`
	Offline          *bool     `parquet:"offline"`
	UserAgent        *string   `parquet:"user_agent,dict"`
	IP               *string   `parquet:"ip,dict"`
	User             *string   `parquet:"user,dict"`
	Client           *string   `parquet:"client,dict"`
	ExceptionClass   *string   `parquet:"exception_class,dict"`
	ExceptionMethod  *string   `parquet:"exception_method,dict"`
	ExceptionMessage *string   `parquet:"exception_message"`
	ExceptionStack   *string   `parquet:"exception_stack"`
	Properties       *string   `parquet:"properties"`
	Shard            int32     `parquet:"shard,dict"`
	Offset           int64     `parquet:"offset,delta"`
	Arrival          int64     `parquet:"arrival,timestamp(microsecond),delta"`
}

// BenchmarkWriteEventsFloor is the floor under BenchmarkWriteEvents: the same
// rows, unsorted, by parquet-go's GenericWriter, which is given them as structs.
func BenchmarkWriteEventsFloor(b *testing.B) {
	rows := floorRows(b, newTraffic(1, 5000).batches(b, 0, 0, benchRows, 4096))
	benchmarkGenericWriter(b, func() []floorRow { return rows })
}

// BenchmarkWriteEventsParquetGo does the work of BenchmarkWriteEvents, except
// for the sorting, with parquet-go's GenericWriter: rows come in batches and
// must be made structs first.
func BenchmarkWriteEventsParquetGo(b *testing.B) {
	batches := newTraffic(1, 5000).batches(b, 0, 0, benchRows, 4096)
	benchmarkGenericWriter(b, func() []floorRow { return floorRows(b, batches) })
}

func benchmarkGenericWriter(b *testing.B, next func() []floorRow) {
	b.Helper()
	w := parquet.NewGenericWriter[floorRow](io.Discard, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.MaxRowsPerRowGroup(64<<10), parquet.PageBufferSize(128<<10))
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		rows := next()
		w.Reset(io.Discard)
		for i := 0; i < len(rows); i += 1024 {
			if _, err := w.Write(rows[i:min(i+1024, len(rows))]); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchRows)*float64(b.N)/(cpuTime(b)-cpu).Seconds(), "rows/cpu-s")
}

func floorRows(b *testing.B, batches []arrow.Record) []floorRow {
	b.Helper()
	var out []floorRow
	for _, rec := range batches {
		v, err := columns.Bind(rec)
		if err != nil {
			b.Fatal(err)
		}
		text := func(s *columns.Strings, i int) *string {
			if s.Null(i) {
				return nil
			}
			return new(s.At(i))
		}
		for i := range v.Rows {
			r := floorRow{
				ProductID: v.Product[i], ClientID: v.Client[i], Time: int64(v.Time[i]), Name: v.Name.At(i),
				Category: text(&v.Category, i), SessionID: text(&v.SessionID, i), RandomID: v.RandomID.At(i),
				AppKey: text(&v.AppKey, i), AppVersion: text(&v.AppVersion, i), User: text(&v.User, i),
				Client: text(&v.ClientProps, i), ExceptionClass: text(&v.ExceptionClass, i),
				ExceptionMethod: text(&v.ExceptionMethod, i), ExceptionMessage: text(&v.ExceptionMessage, i),
				ExceptionStack: text(&v.ExceptionStack, i), Properties: text(&v.Properties, i),
				Shard: v.Shard[i], Offset: v.Offset[i], Arrival: int64(v.Arrival[i]),
			}
			if !v.Value.Null(i) {
				r.Value = &[16]byte{15: byte(v.Value.At(i).LowBits())}
			}
			if !v.Runtime.Null(i) {
				r.RuntimeMS = new(v.Runtime.At(i))
			}
			out = append(out, r)
		}
	}
	return out
}
