package query

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// benchFolder keeps the lake of BenchmarkReports, and a manifest of what was
// asked of it and answered, for scripts/bench to ask DuckDB the same.
var benchFolder = flag.String("reports", "", "folder in which BenchmarkReports leaves its lake and manifest.json")

// benchAnswers is how many answers the median is of, at least.
const benchAnswers = 5

// benchQuestion is a report and how it is asked.
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

// benchFilter is three properties: two of which every day has its value, one
// that has a current value alone. About one client in five passes.
func benchFilter() map[string]any {
	return map[string]any{
		"prodEdition":       map[string]any{"type": "string", "value": "Free"},
		"geography.country": map[string]any{"type": "stringArray", "value": []string{"AB", "BB", "CB", "DB", "EB", "FB", "GB", "HB"}},
		"ram":               map[string]any{"type": "numberRange", "min": 4000},
	}
}

// benchQuestions are those of the year, the dates of which are from and to.
func benchQuestions(from, to string) []*benchQuestion {
	var out []*benchQuestion
	add := func(report, variant string, body map[string]any, filters bool) {
		path := "/v3/reporting/" + report + "/1"
		out = append(out, &benchQuestion{Report: report, Variant: variant, Path: path, Body: body})
		if filters {
			body = maps.Clone(body)
			body["globalFilters"] = benchFilter()
			out = append(out, &benchQuestion{Report: report, Variant: variant, Filtered: true, Path: path, Body: body})
		}
	}
	year := func(more map[string]any) map[string]any {
		body := map[string]any{"startDate": from, "stopDate": to}
		maps.Copy(body, more)
		return body
	}
	lost := map[string]any{"daysUntilDeclaredLost": 30, "dateReportedLost": "dateLastSeen"}
	all := year(lost)
	all["clientStatus"] = []string{"new", "active", "lost"}
	add("generic/dateRange", "whole", all, true)
	add("generic/dateRange", "by day", year(map[string]any{"dateSplit": "day", "clientStatus": []string{"new", "active"}}), true)
	versions := map[string]any{"level1": map[string]any{"property": "prodVersion", "segments": []any{
		map[string]any{"type": "regex", "value": ".*", "split": true, "includeNull": true},
	}}}
	add("generic/dateRange", "by month and version", year(map[string]any{"dateSplit": "month", "clientStatus": []string{"new", "active"}, "levels": versions}), true)
	add("generic/current", "by version", map[string]any{"clientStatus": []string{"active"}, "levels": versions}, true)
	add("engagement/usageDistribution", "year", year(nil), true)
	add("eventTracking/basic/dataTable", "year", year(nil), false)
	events := func(n int) (of []any) {
		for i := range n {
			of = append(of, map[string]any{"category": benchCategories[i%len(benchCategories)], "name": benchEventNames[i]})
		}
		return of
	}
	add("eventTracking/basic/timeline", "by day", year(map[string]any{"dateSplit": "day", "dataView": "usageCounts", "divisor": "users", "events": events(10)}), false)
	return out
}

// BenchmarkReports asks every report for a year of a product with a million
// client-days, over HTTP, of a lake of Parquet files as compaction leaves them
// and a tail that its owners hold.
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
// times after the first, which is not measured.
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
	for b.Loop() {
		ask()
	}
	for len(q.MS) < benchAnswers {
		ask()
	}
	ms := slices.Sorted(slices.Values(q.MS))[len(q.MS)/2]
	b.ReportMetric(ms, "ms/answer")
	b.ReportMetric(benchClientDays/ms*1000, "client-days/s")
}

// once asks the service itself: what its documents say is not of the time.
func (w *reportWorld) once(b *testing.B, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, bytes.NewReader(body))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	rec := httptest.NewRecorder()
	w.Service.Handler().ServeHTTP(rec, r)
	return rec
}
