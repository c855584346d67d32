package ingest

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"weir/schemas"
)

// TestValueIsKeptAsSent: the text of $value is kept when it is not the shortest one of
// the number, unless it is very long.
func TestValueIsKeptAsSent(t *testing.T) {
	long := "0." + strings.Repeat("1", schemas.MaxTextChars-2)
	for text, want := range map[string]string{
		"1": "", "-2.5": "", "0.000000001": "", "0": "", "-0": "-0", "1.50": "1.50", "2e3": "2e3", "0.0000000005": "0.0000000005", "1.0E+1": "1.0E+1",
		long: long, long + "1": "", "null": "",
	} {
		d := new(decoder)
		d.reset(1001, math.MaxInt64)
		d.body = fmt.Appendf(nil, `{"data":[{"euid":1,"event_name":"a","itime":1700000000000,"properties":{"x":1,"$value": %s ,"y":2}},`+
			`{"euid":1,"event_name":"b","itime":1700000000000,"properties":{"$value":7}}]}`, text)
		events, err := d.decodeEvents()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := events[0].ValueText; got != want || events[1].ValueText != "" {
			t.Errorf("%.40s: text = %.40q, and of the next event %q; want %.40q", text, got, events[1].ValueText, want)
		}
	}
}
