package processor

import (
	"bytes"
	"compress/gzip"
	"io"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// sinkStages tells the stages of the sink apart by names of functions. A sample
// belongs to the innermost of its frames that has a stage, so a function stands here
// without what it calls and what stands here too. Where `under` is given, only
// samples with such a frame count.
var sinkStages = []struct {
	name, frame, under string
}{
	{"gc", "runtime.gc", ""},
	{"gc", "runtime.bgsweep", ""},
	{"gc", "runtime.bgscavenge", ""},
	{"decode", "topic.(*Decoder)", ""},
	{"dedupe", "dedupe.(*Window)", ""},
	{"append", "columns.(*Builder)", ""},
	{"gather", "processor.(*gatherer)", ""},
	{"events-sort", "lake.sortEvents", ""},
	{"rollups-gather", "rollup.(*Set)", "rollup.(*Set).AddBatch"},
	{"rollups-rows", "lake.(*batchBuilder)", ""},
	{"rollups-sort", "rollup.(*Set)", ""},
	{"rollups-rows", "lake.writeRows", ""},
	{"events-zstd", "parquet.(*zstdEncoder)", "lake.(*Lake).WriteEvents"},
	{"rollups-zstd", "parquet.(*zstdEncoder)", "lake.(*Lake).WriteRollups"},
	{"events-encode", "parquet.(*Encoder).flush", "lake.(*Lake).WriteEvents"},
	{"rollups-encode", "parquet.(*Encoder).flush", "lake.(*Lake).WriteRollups"},
	{"footers", "parquet.(*Encoder).Finish", ""},
	{"footers", "lake.(*Lake).describe", ""},
	{"events-encode", "lake.(*Lake).writeFiles", "lake.(*Lake).WriteEvents"},
	{"rollups-encode", "lake.(*Lake).writeFiles", "lake.(*Lake).WriteRollups"},
	{"put", "laketest.(*Store)", ""},
	{"commit", "lake.(*Lake).Commit", ""},
}

// stageOf returns the stage of a stack, innermost frame first.
func stageOf(stack []string) string {
	for i, frame := range stack {
		for _, s := range sinkStages {
			if strings.Contains(frame, s.frame) && (s.under == "" || slices.ContainsFunc(stack[i:], func(f string) bool { return strings.Contains(f, s.under) })) {
				return s.name
			}
		}
	}
	return "other"
}

// stageProfile counts the samples of each stage.
type stageProfile map[string]int64

// measure adds a profile of do and returns its processor time.
func (p stageProfile) measure(b *testing.B, do func()) time.Duration {
	b.Helper()
	var body bytes.Buffer
	took := processorTime(b, func() {
		if err := pprof.StartCPUProfile(&body); err != nil {
			b.Fatal(err)
		}
		do()
	})
	pprof.StopCPUProfile()
	if err := p.add(&body); err != nil {
		b.Fatal(err)
	}
	return took
}

// report reports what each stage takes of total.
func (p stageProfile) report(b *testing.B, total float64) {
	b.Helper()
	all := int64(0)
	for _, n := range p {
		all += n
	}
	for stage, n := range p {
		b.ReportMetric(total*float64(n)/float64(all), stage+"-s/M")
	}
}

// Field numbers of profile.proto, and of its messages.
const (
	profileSample, profileLocation, profileFunction, profileString = 2, 4, 5, 6

	sampleLocation, sampleValue = 1, 2
	locationID, locationLine    = 1, 4
	lineFunction                = 1
	functionID, functionName    = 1, 2
)

// add counts the samples of a profile as runtime/pprof writes it.
func (p stageProfile) add(body io.Reader) error {
	in, err := gzip.NewReader(body)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var texts []string
	var samples [][]byte
	functions, locations := map[uint64]uint64{}, map[uint64][]uint64{} // function → its name in texts; location → functions, innermost first
	eachField(raw, func(num protowire.Number, _ uint64, b []byte) {
		switch num {
		case profileString:
			texts = append(texts, string(b))
		case profileFunction:
			functions[numbers(b, functionID)[0]] = numbers(b, functionName)[0]
		case profileLocation:
			id := numbers(b, locationID)[0]
			eachField(b, func(num protowire.Number, _ uint64, line []byte) {
				if num == locationLine {
					locations[id] = append(locations[id], numbers(line, lineFunction)...)
				}
			})
		case profileSample:
			samples = append(samples, b)
		default:
		}
	})
	for _, s := range samples {
		var stack []string
		for _, at := range numbers(s, sampleLocation) {
			for _, f := range locations[at] {
				stack = append(stack, texts[functions[f]])
			}
		}
		p[stageOf(stack)] += int64(numbers(s, sampleValue)[0])
	}
	return nil
}

// eachField calls do for each field of a message.
func eachField(message []byte, do func(num protowire.Number, varint uint64, b []byte)) {
	for len(message) > 0 {
		num, wire, n := protowire.ConsumeTag(message)
		message = message[n:]
		var v uint64
		var b []byte
		if wire == protowire.BytesType {
			b, n = protowire.ConsumeBytes(message)
		} else {
			v, n = protowire.ConsumeVarint(message)
		}
		do(num, v, b)
		message = message[n:]
	}
}

// numbers returns the numbers of one field of a message, packed or not.
func numbers(message []byte, field protowire.Number) (out []uint64) {
	eachField(message, func(num protowire.Number, v uint64, b []byte) {
		switch {
		case num != field:
		case b == nil:
			out = append(out, v)
		default:
			for len(b) > 0 {
				v, n := protowire.ConsumeVarint(b)
				out, b = append(out, v), b[n:]
			}
		}
	})
	return out
}
