package query

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

// benchFolder is where BenchmarkReports leaves its lake and a manifest of its
// questions and answers, for scripts/bench to ask DuckDB the same.
var benchFolder = flag.String("reports", "", "folder in which BenchmarkReports leaves its lake and manifest.json")

// benchAnswers is the least number of answers that a median is taken of.
const benchAnswers = 5

// benchQuestion is a report and a question for it.
type benchQuestion struct {
	Report   string          `json:"report"`
	Variant  string          `json:"variant"`
	Filtered bool            `json:"filtered"`
	Path     string          `json:"path"`
	Body     map[string]any  `json:"body"`
	Result   json.RawMessage `json:"result"`
	MS       []float64       `json:"ms"`
}

func (q *benchQuestion) name() string {
	name := strings.ReplaceAll(q.Report, "/", ".") + "/" + q.Variant
	if q.Filtered {
		name += " filtered"
	}
	return name
}

// benchManifest is manifest.json.
type benchManifest struct {
	Today      string                     `json:"today"`
	ClientDays int                        `json:"clientDays"`
	Tables     map[lake.Table]benchTables `json:"tables"`
	Questions  []*benchQuestion           `json:"questions"`
}

// benchFilter filters by three properties: two that have a value of each day,
// and one with a current value alone. About one client in five passes.
func benchFilter() map[string]any {
	return map[string]any{
		"prodEdition":       map[string]any{"type": "string", "value": "Free"},
		"geography.country": map[string]any{"type": "stringArray", "value": []string{"AB", "BB", "CB", "DB", "EB", "FB", "GB", "HB"}},
		"ram":               map[string]any{"type": "numberRange", "min": 4000},
	}
}

// benchRequests collects questions.
type benchRequests struct {
	from, to  string // the dates of the year
	questions []*benchQuestion
}

// add adds a question on the year: once without filters and, if the report has
// them, once with.
func (a *benchRequests) add(report, variant string, filters bool, more ...map[string]any) {
	body := map[string]any{"startDate": a.from, "stopDate": a.to}
	if report == "generic/current" || report == "clientPropertyList" {
		clear(body)
	}
	for _, m := range more {
		maps.Copy(body, m)
	}
	path := "/v3/reporting/" + report + "/1"
	a.questions = append(a.questions, &benchQuestion{Report: report, Variant: variant, Path: path, Body: body})
	if filters {
		body = maps.Clone(body)
		body["globalFilters"] = benchFilter()
		a.questions = append(a.questions, &benchQuestion{Report: report, Variant: variant, Filtered: true, Path: path, Body: body})
	}
}

// benchQuestions returns the questions on the year.
func benchQuestions(from, to string) []*benchQuestion {
	type object = map[string]any
	a := &benchRequests{from: from, to: to}
	lost := object{"daysUntilDeclaredLost": 30, "dateReportedLost": "dateLastSeen"}
	versions := object{"levels": object{"level1": object{"property": "prodVersion", "segments": []any{
		object{"type": "regex", "value": ".*", "split": true, "includeNull": true},
	}}}}
	events := func(n int) object {
		var of []any
		for i := range n {
			of = append(of, object{"category": benchCategories[i%len(benchCategories)], "name": benchEventNames[i]})
		}
		return object{"events": of}
	}
	a.add("generic/dateRange", "whole", true, lost, object{"clientStatus": []string{"new", "active", "lost"}})
	a.add("generic/dateRange", "by day", true, object{"dateSplit": "day", "clientStatus": []string{"new", "active"}})
	a.add("generic/dateRange", "by month and version", true, versions, object{"dateSplit": "month", "clientStatus": []string{"new", "active"}})
	a.add("generic/current", "by version", true, versions, object{"clientStatus": []string{"active"}})
	a.add("engagement/usageDistribution", "year", true)
	a.add("engagement/churnAndEngagement", "by month", true, object{"dateSplit": "month", "segmentBy": "installationMonth", "daysUntilDeclaredLost": 30})
	a.add("eventTracking/basic/dataTable", "year", false)
	a.add("eventTracking/basic/timeline", "by day", false, events(10), object{"dateSplit": "day", "dataView": "usageCounts", "divisor": "users"})
	a.add("eventTracking/advanced/fullReport", "10 events", true, events(10))
	a.add("eventTracking/lifetime/histogram", "5 events", true, events(5))
	a.add("eventTracking/lifetime/dataTable", "all events", true)
	a.add("eventTracking/churn/lifetime/dataTable", "all events", true, lost)
	a.add("churn/histogram/days", "year", true, lost)
	a.add("clientPropertyList", "first page", true, object{
		"properties":   []string{"prodVersion", "ram", "dateInstalled", "lifetimeSessionCount", "lifetimeEventUsage"},
		"retDailyData": object{"startDate": from, "stopDate": to, "properties": []string{"prodVersion"}},
	})
	return a.questions
}

// BenchmarkReports asks every report over HTTP about a year of a product with a
// million client-days. The lake has the Parquet files that compaction leaves,
// and the owners hold a tail.
func BenchmarkReports(b *testing.B) {
	dir := *benchFolder
	if dir == "" {
		dir = b.TempDir()
	}
	w, manifest := newReportBench(b, dir)
	for _, q := range manifest.Questions {
		b.Run(q.name(), func(b *testing.B) { w.measure(b, q) })
	}
	manifest.Questions = slices.DeleteFunc(manifest.Questions, func(q *benchQuestion) bool { return q.MS == nil }) // -bench may have left some out
	text, err := json.Marshal(manifest)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o600); err != nil {
		b.Fatal(err)
	}
}

func newReportBench(b *testing.B, dir string) (*reportWorld, *benchManifest) {
	b.Helper()
	ctx, log, files := b.Context(), slog.New(slog.DiscardHandler), folder(filepath.Join(dir, "lake"))
	if err := os.RemoveAll(string(files)); err != nil {
		b.Fatal(err)
	}
	l, err := lake.Open(ctx, lake.Config{Bucket: "weir"}, lake.NewCatalog(laketest.New().Pointers, files), files)
	if err != nil {
		b.Fatal(err)
	}
	reg, err := registry.Open(ctx, "sqlite:"+filepath.Join(b.TempDir(), "registry.db"), log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { reg.Close() })
	client := tail.NewClient(tail.Config{Secret: listSecret})
	b.Cleanup(client.Close)
	w := &listWorld{t: b, mem: &peak{Allocator: memory.DefaultAllocator}, tokens: map[string]string{}}
	if w.Service, err = New(Config{}, Deps{Registry: reg, Lake: l, Tail: client, Log: log}); err != nil {
		b.Fatal(err)
	}
	w.accounts()
	w.own()
	user, err := reg.CreateUser(ctx, registry.User{Account: w.account, Email: "ann@example.org"}, listPassword)
	if err != nil {
		b.Fatal(err)
	}
	session, err := reg.NewSession(ctx, user.ID)
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	y := newBenchYear()
	manifest := &benchManifest{Today: time.Now().UTC().Format(time.DateOnly), ClientDays: benchClientDays, Tables: w.fillLake(b, y, files)}
	b.Cleanup(w.letGo)
	b.Logf("%d clients, %d client-days, written in %s", y.clients, benchClientDays, time.Since(start).Round(time.Millisecond))
	manifest.Questions = benchQuestions(y.first.Format(time.DateOnly), manifest.Today)
	return &reportWorld{listWorld: w, session: session.ID}, manifest
}

// measure asks q until the benchmark has enough, and at least benchAnswers
// times after a first answer that is not measured.
func (w *reportWorld) measure(b *testing.B, q *benchQuestion) {
	body, err := json.Marshal(q.Body)
	if err != nil {
		b.Fatal(err)
	}
	rec := w.once(b, q.Path, body)
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != http.StatusOK || rec.Header().Get(headerPartial) != "" {
		b.Fatalf("%s: %d %s, partial %q", body, rec.Code, rec.Body, rec.Header().Get(headerPartial))
	}
	q.Result, q.MS = answer.Result, nil
	ask := func() {
		start := time.Now()
		w.once(b, q.Path, body)
		q.MS = append(q.MS, float64(time.Since(start).Microseconds())/1000)
	}
	b.ReportAllocs()
	forgetPeak()
	for b.Loop() {
		ask()
	}
	for len(q.MS) < benchAnswers {
		ask()
	}
	ms := slices.Sorted(slices.Values(q.MS))[len(q.MS)/2]
	b.ReportMetric(ms, "ms/answer")
	b.ReportMetric(benchClientDays/ms*1000, "client-days/s")
	if peak, known := residentPeak(); known {
		b.ReportMetric(peak, "resident-MiB")
	}
}

// forgetPeak resets residentPeak, where the system can.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// residentPeak returns the largest memory of the process in MiB, which includes
// the data of the benchmark; false if the system does not report it.
func residentPeak() (float64, bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, false
	}
	return kib / 1024, found
}

// once asks the service itself, without the OpenAPI checks of the tests, which
// would count in the time.
func (w *reportWorld) once(b *testing.B, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, bytes.NewReader(body))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	rec := httptest.NewRecorder()
	w.Service.Handler().ServeHTTP(rec, r)
	return rec
}
