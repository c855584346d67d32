package topic

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"weir/schemas"
	"weir/schemas/eventpb"
)

// full returns an event with a value in every field.
func full() schemas.Event {
	value := decimal128.FromI64(12_500_000_000)
	return schemas.Event{
		Product: 1001, Client: 8404172500676253691, Time: 1654076420772, Name: "exception",
		RandomID: "5b102148-0d28-4a6a-8658-483f7d1c735e", Category: new("vcs"), Value: &value, SessionID: "s-1",
		RuntimeMS: new(int64(90_500)), AppKey: "96441e4d73207a6517abfbbc", AppName: "ft/turnkey-portal", AppVersion: "4.3.32",
		ContentLocale: "en-US", UILocale: "de-DE", Offline: new(false), UserAgent: "Mozilla/5.0", IP: "10.60.1.38",
		User: []byte(`{"id":"u1","realm":["internal"]}`), ClientProps: []byte(`{"os.platform":"Linux","prodVersion":"1.0"}`),
		Exception:  &schemas.Exception{Class: "Fix", Method: "run", Message: "fix typos", Stack: "a\nb"},
		Properties: []byte(`{"files":8,"merge":false}`),
	}
}

// least returns an event with only the required fields.
func least() schemas.Event {
	return schemas.Event{Product: 1, Client: 1, Name: "a", RandomID: "r"}
}

func samples() map[string]schemas.Event {
	empty, tiny, low := least(), least(), least()
	empty.Category, empty.Offline, empty.RuntimeMS = new(""), new(true), new(int64(0))
	empty.Value, empty.Exception = new(decimal128.Num{}), new(schemas.Exception)
	tiny.Value = new(decimal128.FromI64(-1))
	low.Product, low.Client, low.Time = math.MaxInt64, math.MaxInt64, schemas.MaxTimeMS
	low.Value = new(decimal128.GetMaxValue(38).Negate())
	text := least()
	text.Value, text.ValueText = new(decimal128.FromI64(1_500_000_000)), "1.50"
	return map[string]schemas.Event{"value as sent": text, "full": full(), "least": least(), "present but empty": empty, "minus one unit": tiny, "extremes": low}
}

func TestRoundTrip(t *testing.T) {
	for name, want := range samples() {
		var got schemas.Event
		kind, err := Decode(Append(nil, &want), &got)
		if kind != Event || err != nil {
			t.Errorf("%s: Decode = %v, %v", name, kind, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(decimal128.Num{})); diff != "" {
			t.Errorf("%s: round trip (-want +got):\n%s", name, diff)
		}
	}
}

// TestAppendMatchesGeneratedCode compares the bytes of the hand-written encoder with
// those of the generated code.
func TestAppendMatchesGeneratedCode(t *testing.T) {
	for name, e := range samples() {
		record := Append(nil, &e)
		var message eventpb.Record
		if err := proto.Unmarshal(record, &message); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, fromMessage(&message), cmp.AllowUnexported(decimal128.Num{})); diff != "" {
			t.Errorf("%s: decoded by the generated code (-want +got):\n%s", name, diff)
		}
		theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(&message)
		if err != nil || !bytes.Equal(record, theirs) {
			t.Errorf("%s: record %x, the generated code writes %x (%v)", name, record, theirs, err)
		}
	}
}

func fromMessage(m *eventpb.Record) schemas.Event {
	e := schemas.Event{
		Product: m.GetProductId(), Client: m.GetClientId(), Time: m.GetTimeMs(), Name: m.GetName(), RandomID: m.GetRandomId(),
		Category: m.Category, SessionID: m.GetSessionId(), RuntimeMS: m.RuntimeMs, AppKey: m.GetAppKey(), AppName: m.GetAppName(),
		AppVersion: m.GetAppVersion(), ContentLocale: m.GetContentLocale(), UILocale: m.GetUiLocale(), Offline: m.Offline,
		UserAgent: m.GetUserAgent(), IP: m.GetIp(), User: orNil(m.GetUser()), ClientProps: orNil(m.GetClient()),
		Properties: orNil(m.GetProperties()), ValueText: m.GetValueText(),
	}
	if v := m.GetValue(); v != nil {
		e.Value = new(decimal128.New(v.GetHi(), v.GetLo()))
	}
	if x := m.GetException(); x != nil {
		e.Exception = &schemas.Exception{Class: x.GetClassName(), Method: x.GetMethodName(), Message: x.GetMessage(), Stack: x.GetStackTrace()}
	}
	return e
}

func TestDecodeRefuses(t *testing.T) {
	check := func(name, want string, change func(*eventpb.Record)) {
		t.Helper()
		message := &eventpb.Record{Kind: eventpb.Kind_KIND_EVENT, ProductId: 1, ClientId: 1, Name: "a", RandomId: "r"}
		change(message)
		record, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var e schemas.Event
		if _, err := Decode(record, &e); err == nil || err.Error() != want {
			t.Errorf("%s: Decode: %v, want %s", name, err, want)
		}
	}
	check("no kind", "record kind 0 is unknown", func(m *eventpb.Record) { m.Kind = 0 })
	check("later kind", "record kind 9 is unknown", func(m *eventpb.Record) { m.Kind = 9 })
	check("no product", "product id is not positive", func(m *eventpb.Record) { m.ProductId = 0 })
	check("no client", "client id is not positive", func(m *eventpb.Record) { m.ClientId = -1 })
	check("no name", "event name is missing", func(m *eventpb.Record) { m.Name = "" })
	check("no random id", "random id is missing", func(m *eventpb.Record) { m.RandomId = "" })
	check("before 1970", "event time is outside the years 1970 to 9999", func(m *eventpb.Record) { m.TimeMs = -1 })
	check("after 9999", "event time is outside the years 1970 to 9999", func(m *eventpb.Record) { m.TimeMs = math.MaxInt64 })
	check("39 digits", "value has more than 38 digits", func(m *eventpb.Record) { m.Value = &eventpb.Decimal{Hi: math.MaxInt64} })
	check("negative runtime", "runtime is negative", func(m *eventpb.Record) { m.RuntimeMs = new(int64(-1)) })
	check("broken JSON", "properties is not a JSON object", func(m *eventpb.Record) { m.Properties = []byte(`{"a":}`) })
	check("JSON list", "client is not a JSON object", func(m *eventpb.Record) { m.Client = []byte(`[1]`) })
	check("JSON not UTF-8", "user is not a JSON object", func(m *eventpb.Record) { m.User = []byte("{\"a\":\"\xff\"}") })
}

func TestDecodeRefusesDamage(t *testing.T) {
	e := full()
	record := Append(nil, &e)
	check := func(name, want string, damaged []byte) {
		t.Helper()
		var e schemas.Event
		if _, err := Decode(damaged, &e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Decode: %v, want %s", name, err, want)
		}
	}
	check("empty", "kind 0 is unknown", nil)
	check("cut short", "it ends in the middle of a field", record[:len(record)-1])
	check("text", "a wire type is unknown", []byte("oops"))
	check("field 0", "a field number is not valid", []byte{0, 0})
	check("long number", "a number is too long", append([]byte{8}, bytes.Repeat([]byte{0xff}, 11)...))
	check("wire type 6", "a wire type is unknown", []byte{14, 0})
	check("end of a group", "a group ends that has not begun", []byte{12})
	check("deep groups", "groups are nested too deep", bytes.Repeat([]byte{11}, 20_000))
	check("not UTF-8", "field 5 is not UTF-8", bytes.Replace(record, []byte("exception"), []byte("exc\xffption"), 1))
	check("exception not UTF-8", "field 21 is not UTF-8", bytes.Replace(record, []byte("fix typos"), []byte("fix\xfftypos"), 1))
}

func TestDecodeSkipsUnknownFields(t *testing.T) {
	want := full()
	record := Append(nil, &want)
	record = append(record, 0xb8, 0x3e, 0x07)                                           // field 999, varint
	record = append(record, 0xc2, 0x3e, 0x03, 'n', 'e', 'w')                            // field 1000, bytes
	record = append(record, 0xc9, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8, 0xd5, 0x3e, 1, 2, 3, 4) // fixed64, fixed32
	var got schemas.Event
	if kind, err := Decode(record, &got); kind != Event || err != nil {
		t.Fatalf("Decode = %v, %v", kind, err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(decimal128.Num{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDecoderForgets decodes records by a Decoder that has decoded others.
func TestDecoderForgets(t *testing.T) {
	var d Decoder
	for range 2 {
		for name, want := range samples() {
			var got schemas.Event
			if kind, err := d.Decode(Append(nil, &want), &got); kind != Event || err != nil {
				t.Errorf("%s: Decode = %v, %v", name, kind, err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(decimal128.Num{})); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", name, diff)
			}
		}
	}
	decode := func(user string) error {
		e, record := least(), schemas.Event{}
		e.User = []byte(user)
		_, err := d.Decode(Append(nil, &e), &record)
		return err
	}
	for range 2 {
		if err := decode(`{"a":1}`); err != nil {
			t.Error(err)
		}
		for _, broken := range []string{`{"a":1]`, `{"a":1`, `{"a":1}}`, `["a",1]`} {
			if decode(broken) == nil {
				t.Errorf("%s is accepted after an object", broken)
			}
		}
	}
}

func TestTick(t *testing.T) {
	e := full()
	if kind, err := Decode(AppendTick(nil), &e); kind != Tick || err != nil {
		t.Errorf("Decode = %v, %v; want Tick", kind, err)
	}
	if e.Name != "" {
		t.Errorf("after a tick the event still has the name %q", e.Name)
	}
}

// FuzzDecode compares Decode with the generated code: both must decode the same event,
// and encoding it again must give an equal one.
func FuzzDecode(f *testing.F) {
	for _, e := range samples() {
		f.Add(Append(nil, &e))
	}
	f.Add(AppendTick(nil))
	for _, c := range changeSamples() {
		f.Add(AppendChange(nil, &c))
	}
	other := full()
	before := Append(nil, &other)
	f.Fuzz(func(t *testing.T, record []byte) {
		var d Decoder
		if _, err := d.Decode(before, new(schemas.Event)); err != nil {
			t.Fatal(err)
		}
		var got schemas.Event
		kind, err := d.Decode(record, &got)
		var message eventpb.Record
		theirs := proto.Unmarshal(record, &message)
		if err != nil {
			return
		}
		if theirs != nil {
			t.Fatalf("Decode accepted what the generated code refuses: %v", theirs)
		}
		if kind == Property || kind == Contact {
			fuzzChange(t, kind, &got, &message)
			return
		}
		if kind != Event {
			return
		}
		if diff := cmp.Diff(fromMessage(&message), got, cmp.AllowUnexported(decimal128.Num{})); diff != "" {
			t.Fatalf("(-generated +ours):\n%s", diff)
		}
		var again schemas.Event
		if _, err := Decode(Append(nil, &got), &again); err != nil {
			t.Fatalf("decode the encoded event again: %v", err)
		}
		if diff := cmp.Diff(got, again, cmp.AllowUnexported(decimal128.Num{})); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	e := full()
	buf := Append(nil, &e)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], &e)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkDecode(b *testing.B) {
	var d Decoder
	e := full()
	record := Append(nil, &e)
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(record, &e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppendGenerated is BenchmarkAppend by the generated code, without the
// time to fill its message.
func BenchmarkAppendGenerated(b *testing.B) {
	e := full()
	buf := Append(nil, &e)
	var message eventpb.Record
	if err := proto.Unmarshal(buf, &message); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], &message); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeFields is BenchmarkDecode without the checks of the decoded
// event, most of whose time goes into its JSON fields.
func BenchmarkDecodeFields(b *testing.B) {
	var d Decoder
	e := full()
	record := Append(nil, &e)
	b.ReportAllocs()
	for b.Loop() {
		e = schemas.Event{}
		if _, err := d.decodeRecord(record, &e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeGenerated is BenchmarkDecodeFields by the generated code.
func BenchmarkDecodeGenerated(b *testing.B) {
	e := full()
	record := Append(nil, &e)
	b.ReportAllocs()
	for b.Loop() {
		var message eventpb.Record
		if err := proto.Unmarshal(record, &message); err != nil {
			b.Fatal(err)
		}
		e = fromMessage(&message)
	}
}
