package query

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	gocmp "github.com/google/go-cmp/cmp"

	"weir/query/export"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/registry"
	"weir/schemas/rollup"
)

// arrived is an event of a story, and where and when it came.
type arrived struct {
	schemas.Event
	shard  int32
	offset int64
	at     time.Time
}

// valueStory is a random story of clients that report properties. The naive model
// looks at its events alone.
type valueStory struct {
	*exportWorld
	r      *rand.Rand
	events []arrived
	rolled map[lake.Table]map[int32]int64
	passes atomic.Int64 // most that a build took
}

// Handle, Enabled, WithAttrs and WithGroup make the story a log handler that looks
// at the passes of builds.
func (s *valueStory) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "passes" && a.Value.Int64() > s.passes.Load() {
			s.passes.Store(a.Value.Int64())
		}
		return true
	})
	return nil
}

func (*valueStory) Enabled(context.Context, slog.Level) bool { return true }
func (s *valueStory) WithAttrs([]slog.Attr) slog.Handler     { return s }
func (s *valueStory) WithGroup(string) slog.Handler          { return s }

func newValueStory(t *testing.T, seed uint64, memory int64) *valueStory {
	t.Helper()
	s := &valueStory{exportWorld: newExportWorld(t, Config{}), r: rand.New(rand.NewPCG(seed, 8)), rolled: map[lake.Table]map[int32]int64{}}
	deps := s.deps
	deps.Log = slog.New(s)
	var err error
	if s.Service, err = newService(Config{ReportBytes: memory}, deps, s.bucket); err != nil {
		t.Fatal(err)
	}
	for _, table := range lake.Rollups() {
		s.rolled[table] = map[int32]int64{}
	}
	return s
}

// randomClient is a random $client: most events have none, some report a few
// properties, clear some, or report one that no file has.
func (s *valueStory) randomClient() []byte {
	if s.r.IntN(3) > 0 {
		return nil
	}
	choices := []struct {
		name   string
		values []string
	}{
		{"prodVersion", []string{`"1.0"`, `"2.0"`, `"3.0"`, `"\"3\", β"`, "null", `""`, `"<NULL>"`}},
		{"geography.country", []string{`"IT"`, `"DE"`, "null"}},
		{"licenseStatus.allowed", []string{"true", "false", "1", `"Y"`, `"yes"`, `"YES"`, `"no"`, "null", `""`}},
		{"licenseStatus.activated", []string{"true", `"true"`, "0"}},
		{"ram", []string{"8192", "8192.0", `" 8192"`, "1.50", `"much"`, "null"}},
		{"resolutionWidth", []string{"800", "null"}},
		{"resolutionHeight", []string{"600"}},
		{"resolution", []string{`"1920x1080"`, "null"}},
		{"C01", []string{`"own"`, "17"}},
		{"licenseKey", []string{`"K-1"`, `""`}},
	}
	reported := map[string]jsontext.Value{}
	for _, c := range choices {
		if s.r.IntN(4) == 0 {
			reported[c.name] = jsontext.Value(c.values[s.r.IntN(len(c.values))])
		}
	}
	text, err := json.Marshal(reported, json.Deterministic(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// eventByChance is an event that came now: it happened now, some time ago, months
// ago, or at the very time of the event before.
func (s *valueStory) eventByChance() schemas.Event {
	e := schemas.Event{
		Product: 1001, Client: 1 + s.r.Int64N(5), Time: time.Now().UnixMilli(), Name: fmt.Sprint("e", len(s.events)),
		RandomID: fmt.Sprint("r", len(s.events)), ClientProps: s.randomClient(),
	}
	if s.r.IntN(8) == 0 {
		e.Product = []int64{1002, 2001}[s.r.IntN(2)]
	}
	switch s.r.IntN(6) {
	case 0:
		e.Name = schemas.SessionStart
	case 1:
		e.Exception = &schemas.Exception{Class: e.Name}
	}
	switch s.r.IntN(12) {
	case 0, 1:
		e.Time -= s.r.Int64N(48 * int64(time.Hour/time.Millisecond))
	case 2:
		e.Time -= s.r.Int64N(200 * 24 * int64(time.Hour/time.Millisecond))
	case 3, 4:
		if n := len(s.events); n > 0 {
			e.Time = min(e.Time, s.events[n-1].Time)
		}
	}
	return e
}

// arriveByChance commits a few events of a shard.
func (s *valueStory) arriveByChance() {
	shard := int32(s.r.IntN(2))
	var batch []schemas.Event
	for range s.r.IntN(24) {
		if e := s.eventByChance(); int32(e.Client%2) == shard {
			s.events = append(s.events, arrived{e, shard, s.states[shard].Next + int64(len(batch)), time.Now()})
			batch = append(batch, e)
		}
	}
	s.arrive(shard, time.Now(), batch...)
}

// rollUpByChance brings rollups up to offsets of their own.
func (s *valueStory) rollUpByChance() {
	for _, table := range lake.Rollups() {
		shard := int32(s.r.IntN(2))
		from := s.rolled[table][shard]
		s.rollUp(table, shard, from+s.r.Int64N(s.states[shard].Next-from+1))
	}
}

// rollUpAll brings all rollups up to date.
func (s *valueStory) rollUpAll() {
	for _, table := range lake.Rollups() {
		s.rollUp(table, 0, s.states[0].Next)
		s.rollUp(table, 1, s.states[1].Next)
	}
}

// rollUp commits the rollup of a shard up to an offset.
func (s *valueStory) rollUp(table lake.Table, shard int32, to int64) {
	from := s.rolled[table][shard]
	if from == to {
		return
	}
	set := rollup.NewSet()
	for _, e := range s.events {
		if e.shard != shard || e.offset < from || e.offset >= to {
			continue
		}
		rec := eventBatch(shard, e.offset, e.at, []schemas.Event{e.Event})
		if err := set.AddBatch(rec); err != nil {
			s.t.Fatal(err)
		}
		rec.Release()
	}
	files, err := s.deps.Lake.WriteRollups(s.t.Context(), shard, set, table)
	if err != nil {
		s.t.Fatal(err)
	}
	cut := lake.Cut{
		ID: fmt.Sprintf("%s-%d-%d", table, shard, to), Shard: shard, From: from, Files: files[table], Sealed: time.Now(),
		To: lake.ShardState{Next: to, LogTime: s.states[shard].LogTime},
	}
	out, err := s.deps.Lake.Commit(s.t.Context(), table, []lake.Cut{cut})
	if err != nil || out[0] != lake.Committed {
		s.t.Fatalf("commit of %s: %v, %v", table, out, err)
	}
	s.rolled[table][shard] = to
}

// known is the naive model: the properties of a client at an event, by the events
// below the watermark, without the cleared ones.
func (s *valueStory) known(row arrived, w view.Watermark) map[string]string {
	var before []arrived
	for _, e := range s.events {
		at := cmp.Or(cmp.Compare(e.Time, row.Time), cmp.Compare(e.offset, row.offset))
		if e.Product == row.Product && e.Client == row.Client && e.offset < w[e.shard] && at <= 0 {
			before = append(before, e)
		}
	}
	slices.SortFunc(before, func(a, b arrived) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.offset, b.offset))
	})
	out := map[string]string{}
	for _, e := range before {
		var reported map[string]jsontext.Value
		if e.ClientProps == nil {
			continue
		}
		if err := json.Unmarshal(e.ClientProps, &reported); err != nil {
			s.t.Fatal(err)
		}
		for name, value := range reported {
			text := string(value)
			if text[0] == '"' {
				_ = json.Unmarshal(value, &text)
			}
			if out[name] = text; text == "null" || text == "" || text == "<NULL>" {
				delete(out, name)
			}
		}
	}
	return out
}

// line is the columns of a row that the model knows, in one text.
func (s *valueStory) line(kind string, row arrived, w view.Watermark) string {
	known := s.known(row, w)
	if kind == "raw" {
		return fmt.Sprint(row.RandomID, "|", known)
	}
	flag := func(name string) string {
		if slices.Contains([]string{"true", "1", "y", "yes"}, strings.ToLower(known[name])) {
			return "Y"
		}
		return "N"
	}
	number := func(text string) string {
		return strings.TrimSuffix(strings.TrimSpace(strings.Replace(text, "1.50", "1.5", 1)), ".0")
	}
	resolution := known["resolution"]
	if width, height := known["resolutionWidth"], known["resolutionHeight"]; resolution == "" && width != "" && height != "" {
		resolution = width + "x" + height
	}
	return strings.Join([]string{
		row.Name, time.UnixMilli(row.Time).UTC().Format("2006-01-02T15:04:05"), strconv.FormatInt(row.Client, 10), known["prodVersion"],
		known["geography.country"], flag("licenseStatus.allowed"), flag("licenseStatus.blocked"), flag("licenseStatus.activated"), number(known["ram"]), resolution,
	}, "|")
}

// checkedColumns are the columns of line in the CSV, by kind.
var checkedColumns = map[string][]string{
	"raw":  {"id", "client"},
	"cust": {"Event Type", "Timestamp", "Client ID", "Version", "Country", "Key Allowed", "Key Blocked", "Key Activated", "RAM", "Screen Resolution"},
	"exc":  {"Exception Class", "Timestamp", "Client ID", "Version", "Country", "Key Allowed", "Key Blocked", "Key Activated", "RAM", "Screen Resolution"},
}

// rowsOf are the events of a kind that arrived on a day.
func (s *valueStory) rowsOf(kind string, day time.Time) []arrived {
	var out []arrived
	for _, e := range s.events {
		is := "cust"
		switch {
		case e.Exception != nil:
			is = "exc"
		case e.Name == schemas.SessionStart:
			is = ""
		}
		if e.Product == 1001 && e.at.UTC().Truncate(24*time.Hour).Equal(day) && (kind == is || kind == "raw") {
			out = append(out, e)
		}
	}
	return out
}

// fileLines are the checked columns of a file, sorted.
func (s *valueStory) fileLines(k export.Kind, name string) []string {
	base := map[string]string{"cust": custom, "exc": "/v3/exceptionTracking/", "raw": raw}[k.Code]
	var at []int
	for _, want := range checkedColumns[k.Code] {
		at = append(at, slices.IndexFunc(k.Fields, func(f export.Field) bool { return f.Name == want }))
	}
	lines := []string{}
	for _, row := range s.download(base, name) {
		var texts []string
		for _, i := range at {
			texts = append(texts, s.plain(row[i]))
		}
		lines = append(lines, strings.Join(texts, "|"))
	}
	slices.Sort(lines)
	return lines
}

// plain is a JSON object as the model prints it; other texts stay as they are.
func (s *valueStory) plain(text string) string {
	if !strings.HasPrefix(text, "{") {
		return text
	}
	var object map[string]jsontext.Value
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for name, value := range object {
		out[name] = string(value)
		if value.Kind() == '"' {
			var plain string
			_ = json.Unmarshal(value, &plain)
			out[name] = plain
		}
	}
	return fmt.Sprint(out)
}

// checkFiles compares every closed file with the model: a daily one as of its
// watermark, a monthly one as its days were.
func (s *valueStory) checkFiles(k export.Kind) (monthly int) {
	s.t.Helper()
	files, err := s.deps.Registry.Exports(s.t.Context(), 1001, k.Code)
	if err != nil {
		s.t.Fatal(err)
	}
	daily := func(f registry.ExportFile) bool { return f.First == f.Last }
	files = slices.Concat(slices.DeleteFunc(slices.Clone(files), func(f registry.ExportFile) bool { return !daily(f) }), slices.DeleteFunc(files, daily))
	months := map[string][]string{}
	for _, f := range files {
		period, err := export.ParsePeriod(f.First, f.Last)
		if err != nil {
			s.t.Fatal(err)
		}
		want := months[f.First[:7]]
		if period.Daily() {
			want = nil
			for _, row := range s.rowsOf(k.Code, period.First) {
				want = append(want, s.line(k.Code, row, s.watermark(f)))
			}
			months[f.First[:7]] = append(months[f.First[:7]], want...)
		} else {
			monthly++
		}
		slices.Sort(want)
		if diff := gocmp.Diff(want, s.fileLines(k, k.FileName(1001, period))); diff != "" {
			s.t.Errorf("%s (-want +got):\n%s", k.FileName(1001, period), diff)
		}
	}
	return monthly
}

func (s *valueStory) watermark(f registry.ExportFile) view.Watermark {
	w, ok := view.ParseWatermark(f.Watermark)
	if !ok {
		s.t.Fatalf("watermark %q", f.Watermark)
	}
	return w
}

// checkOpen compares the file of today and the last lines with the model, as of
// all events.
func (s *valueStory) checkOpen(k export.Kind) {
	s.t.Helper()
	all := view.Watermark{0: 1 << 40, 1: 1 << 40}
	today := export.DayOf(time.Now())
	want := []string{}
	for _, row := range s.rowsOf(k.Code, today.First) {
		want = append(want, s.line(k.Code, row, all))
	}
	slices.Sort(want)
	if diff := gocmp.Diff(want, s.fileLines(k, k.FileName(1001, today))); diff != "" {
		s.t.Errorf("open file (-want +got):\n%s", diff)
	}
	if k.Code != "cust" {
		return
	}
	out := s.ask(s.userA, http.MethodPost, custom+"getLastLines/1001", `{"lineCount":40}`)
	var answer struct {
		Result []map[string]string `json:"result"`
	}
	if err := json.Unmarshal(out.Body.Bytes(), &answer); err != nil {
		s.t.Fatal(err)
	}
	byName := map[string]arrived{}
	for _, e := range s.events {
		byName[e.Name] = e
	}
	for _, line := range answer.Result {
		var texts []string
		for _, name := range checkedColumns["cust"] {
			at := slices.IndexFunc(k.Fields, func(f export.Field) bool { return f.Name == name })
			texts = append(texts, line[k.Fields[at].Key])
		}
		if want := s.line("cust", byName[line["event.name"]], all); strings.Join(texts, "|") != want {
			s.t.Errorf("line %v, want %s", texts, want)
		}
	}
}

// holdByChance gives the shards an owner with a last few events of shard 0.
func (s *valueStory) holdByChance() {
	var tail []schemas.Event
	for range 12 {
		if e := s.eventByChance(); e.Client%2 == 0 {
			s.events = append(s.events, arrived{e, 0, s.states[0].Next + int64(len(tail)), time.Now()})
			tail = append(tail, e)
		}
	}
	s.hold(time.Now(), tail...)
}

// TestFilesHaveClientValuesAtEachEvent plays random stories of six days and compares
// every file, the file of today and the last lines with a naive model of the raw
// events: properties that were reported months before, cleared and reported again, late
// events, rollups that are behind, and more clients than fit one pass.
func TestFilesHaveClientValuesAtEachEvent(t *testing.T) {
	for seed := range uint64(laketest.Repetitions(3)) {
		memory := int64(0)
		if seed%2 == 0 {
			memory = 6 << 10 // of which a third are the names of the columns
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playValueStory(t, seed, memory, seed%2 == 1) })
		})
	}
}

// playValueStory plays a story. The rollups are often brought up to somewhere, or
// once in the middle.
func playValueStory(t *testing.T, seed uint64, memory int64, often bool) {
	s := newValueStory(t, seed, memory)
	time.Sleep(time.Until(time.Date(2000, 1, 28, 5, 0, 0, 0, time.UTC)))
	for time.Now().Before(time.Date(2000, 2, 3, 12, 0, 0, 0, time.UTC)) {
		s.arriveByChance()
		switch late := time.Now().Month() == time.February; {
		case often && s.r.IntN(2) == 0:
			s.rollUpByChance()
		case !often && late && s.rolled[lake.Clients][0] == 0:
			s.rollUpAll() // one row of each client and day, as after compaction
		}
		if s.r.IntN(3) == 0 {
			s.tick(time.Now())
			if err := s.files.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(s.r.Int64N(int64(16 * time.Hour))))
	}
	months := 0
	for _, k := range export.Kinds() {
		months += s.checkFiles(k)
	}
	if months != 2 {
		t.Errorf("%d monthly files, want one of each kind", months)
	}
	s.holdByChance()
	for _, k := range export.Kinds() {
		s.checkOpen(k)
	}
	if passes := s.passes.Load(); passes > 1 != (memory > 0) {
		t.Errorf("builds took up to %d passes with %d bytes", passes, memory)
	}
}
