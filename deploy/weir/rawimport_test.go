package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestRawExportGivesEqualAnswers exports the raw files of a server, imports them into
// an empty one, and asks both everything that answers about events: every question of
// the reports' goldens, the lists of all APIs, and the files of all kinds. All answers
// must be equal to the byte. What goes by arrival is not compared: watermarks, the
// columns received and offset, the ids of event lists, which are made of offsets,
// and the order of rows in files.
func TestRawExportGivesEqualAnswers(t *testing.T) {
	from, to := newTestServer(t, "--query.lookback", "0"), newTestServer(t, "--query.lookback", "0")
	from.startWithEUIDs()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	seed := rng.Uint64()
	t.Logf("seed %d", seed)
	const events = 1200
	from.sendRandomEvents(rand.New(rand.NewPCG(seed, 2)), events)
	from.waitCounted(events)
	a := from.browser()
	files := a.rawFiles(t.TempDir())

	to.startWithEUIDs()
	if err := to.importing(files[0], append([]string{"--parallel", "3"}, files[1:]...)...).Wait(); err != nil {
		t.Fatalf("import of %q: %v", files, err)
	}
	to.waitCounted(events)
	b := to.browser()
	checked := compareAnswers(t, a, b)
	t.Logf("%d answers compared", checked)
	if checked < 100 {
		t.Errorf("only %d answers were compared", checked)
	}
}

// startWithEUIDs starts a server whose User Events API takes EUIDs, as names of clients
// are not in raw files.
func (s *testServer) startWithEUIDs() {
	s.t.Helper()
	s.start()
	if out, err := weir(s.t.Context(), "admin", "product", "set", "--id", "1000", "--euid-as-ref", "--data", s.dir).CombinedOutput(); err != nil {
		s.t.Fatalf("product set: %v\n%s", err, out)
	}
}

// waitCounted waits until the Events API counts so many events.
func (s *testServer) waitCounted(want int) {
	s.t.Helper()
	s.waitFor(fmt.Sprintf("counting %d events", want), func() error {
		n, err := s.count("1970-01-01")
		if err == nil && n != want {
			err = fmt.Errorf("counted %d", n)
		}
		return err
	})
}

// rawClients is how many clients the random events have. The last id is beyond 2^53.
const rawClients = 30

func rawClient(n int) int64 {
	if n == rawClients-1 {
		return 1<<63 - 1
	}
	return int64(n + 1)
}

// sendRandomEvents sends events with everything that an event may have. Times repeat,
// also of one client, and come in no order.
func (s *testServer) sendRandomEvents(r *rand.Rand, n int) {
	s.t.Helper()
	d := s.demo()
	for sent := 0; sent < n; {
		var data []string
		for range min(1+r.IntN(40), n-sent) {
			data = append(data, randomRawEvent(r, sent))
			sent++
		}
		appKey := pick(r, "", `"app_key":"web",`, `"app_key":"web",`, `"app_key":"größe \"x\"",`)
		s.postEvents(d.Key, d.Secret, "{"+appKey+`"data":[`+strings.Join(data, ",")+`]}`)
	}
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// randomRawEvent is an item of data[].
func randomRawEvent(r *rand.Rand, n int) string {
	day := time.Date(1999, 11, 10, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(55))
	at := day.UnixMilli() + int64(r.IntN(10))*8_640_000 // few different times
	if r.IntN(10) == 0 {
		at = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -r.IntN(3)).UnixMilli() + int64(r.IntN(5))
	}
	name := pick(r, "session_start", "session_stop", "Open", "Open", "Save", "Ping", "exception", "Ende, \"gut\"\r\n")
	var p []string
	some := func(one int, format string, args ...any) {
		if r.IntN(one) == 0 {
			p = append(p, fmt.Sprintf(format, args...))
		}
	}
	some(2, `"$category":%s`, pick(r, `"File"`, `"File"`, `""`, `null`, `"Bearbeiten, é"`))
	some(3, `"$value":%s`, pick(r, "1", "1.50", "-0.25", "123456789012345678.123456789", "2e3", "0.0000000005", "0"))
	some(2, `"$session_id":"s-%d"`, r.IntN(90))
	if name == "session_stop" {
		some(1, `"$runtime":%s`, pick(r, "1800", "0", "330.5", "0.001"))
	}
	some(5, `"$app_name":"Anvil"`)
	some(5, `"$app_version":"3.%d"`, r.IntN(3))
	some(6, `"$content_locale":"de-AT"`)
	some(6, `"$ui_locale":"en"`)
	some(5, `"$offline":%s`, pick(r, "true", "false", `"true"`))
	some(6, `"$user_agent":"Mozilla/5.0 (X11; %d), \"x\""`, r.IntN(3))
	some(4, `"$ip":"192.0.2.%d"`, r.IntN(3))
	some(4, `"$user":%s`, pick(r, `{"id":"ann","realm":"eu","groups":["a","b"],"roles":[]}`, `{"id":"bob"}`, `{}`, `{"groups":["a\u00e9\n"]}`))
	some(2, `"$client":%s`, randomClient(r))
	some(12, `"$exception":%s`, pick(r, `{}`, `{"className":"IOError","methodName":"read","message":"no \"such\" file","stackTrace":"at a\r\nat b\rc\n"}`, `{"message":"x"}`))
	some(12, `"$exception_class":"E%d"`, r.IntN(2))
	some(3, `"plan":%s`, pick(r, `"pro"`, `"free"`, `null`, `["a",{"b":1.50}]`, `"\u0000\ud83d\ude00"`))
	some(5, `"seats":%s`, pick(r, "1", "2.0", "3e0", "true", `{"x" : {} }`))
	some(30, `"$unknown":1`)
	r.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
	return fmt.Sprintf(`{"euid":"%d","event_name":%s,"itime":%d,"random_id":"r-%d","properties":{%s}}`,
		rawClient(r.IntN(rawClients)), quoteJSON(name), at, n, strings.Join(p, ","))
}

// randomClient is a $client. Values change, are cleared, and come as texts, numbers
// and booleans, nested and dotted.
func randomClient(r *rand.Rand) string {
	var p []string
	some := func(name string, values ...string) {
		if r.IntN(3) == 0 {
			p = append(p, fmt.Sprintf("%q:%s", name, pick(r, values...)))
		}
	}
	some("prodVersion", `"1.0"`, `"2.0"`, `""`, `null`, `"<NULL>"`)
	some("prodEdition", `"Pro"`, `"Lite"`, `null`)
	some("geography", `{"country":"DE"}`, `{"country":"US","usState":"US-NY"}`, `{"country":null}`, `{"usState":"US-NJ"}`)
	some("machineId", `"M1"`, `"M2"`)
	some("licenseKey", `"K1"`, `"K2"`, `null`)
	some("licenseStatus.activated", `true`, `false`, `"Y"`, `1`)
	some("ram", `4096`, `8192.0`, `"2048"`, `null`)
	some("touchScreen", `"Y"`, `true`)
	some("C01", `"a"`, `"b, \"c\""`, `""`)
	some("C02", `"red"`, `"gr\u00fcn"`)
	some("os.platform", `"Linux"`, `"Windows"`)
	return "{" + strings.Join(p, ",") + "}"
}

func quoteJSON(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// browser is a session of the demo user of a server.
type browser struct {
	*testServer
	client *http.Client
	token  string
}

func (s *testServer) browser() *browser {
	s.t.Helper()
	d := s.demo()
	jar, _ := cookiejar.New(nil)
	b := &browser{testServer: s, client: &http.Client{Jar: jar}, token: d.Token}
	b.ask("GET", "/v3/request-csrf", "")
	if answer := b.ask("POST", "/v3/auth/web", fmt.Sprintf(`{"userName":%q,"password":%q}`, d.Email, d.Password)); !strings.HasPrefix(answer, "200") {
		s.t.Fatalf("log in: %s", answer)
	}
	return b
}

// ask returns the status and the body of an answer.
func (b *browser) ask(method, target, body string) string {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.url() + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if !strings.Contains(target, "/v3/reporting/") {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf("%d\n%s", resp.StatusCode, text)
}

// rawFiles downloads the raw files of the demo product into a folder.
func (b *browser) rawFiles(dir string) []string {
	b.t.Helper()
	var paths []string
	for _, name := range fileNames(b.ask("GET", "/v3/rawEvents/download/listFiles/1000", "")) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.download("rawEvents/download/", name), 0o600); err != nil {
			b.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		b.t.Fatal("no raw file is listed")
	}
	return paths
}

// fileNames are the names of files in an answer.
func fileNames(answer string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`"fileName":"([^"]+)"`).FindAllStringSubmatch(answer, -1) {
		names = append(names, m[1])
	}
	return names
}

func (b *browser) download(base, name string) []byte {
	b.t.Helper()
	var link struct{ DownloadURL string }
	answer := b.ask("POST", "/v3/"+base+"getDownloadUrl/1000", fmt.Sprintf(`{"fileName":%q}`, name))
	_, body, _ := strings.Cut(answer, "\n")
	if err := json.Unmarshal([]byte(body), &link); err != nil {
		b.t.Fatalf("link to %s: %s", name, answer)
	}
	status, text, _ := strings.Cut(b.ask("GET", link.DownloadURL, ""), "\n")
	if status != "200" {
		b.t.Fatalf("download %s: %s %s", name, status, text)
	}
	return []byte(text)
}

// rows are the rows of all files of one kind, sorted, without the columns received
// and offset.
func (b *browser) rows(base string) []string {
	b.t.Helper()
	var all []string
	for _, name := range fileNames(b.ask("GET", "/v3/"+base+"listFiles/1000", "")) {
		if strings.Contains(name, "_to_") {
			continue // the rows of a month once more
		}
		for _, row := range unzipped(b.t, b.download(base, name))[1:] {
			if base == "rawEvents/download/" {
				row[1], row[12] = "", ""
			}
			all = append(all, fmt.Sprintf("%q", row))
		}
	}
	slices.Sort(all)
	return all
}

// recordID is the id of an event in the User Events API and the Events API, which is
// made of its shard and offset.
var recordID = regexp.MustCompile(`"id":([0-9]+|"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),`)

// compareAnswers asks both servers the same and returns how many answers it compared.
func compareAnswers(t *testing.T, a, b *browser) int {
	t.Helper()
	compared, failed := 0, 0
	check := func(method, path, body string) {
		t.Helper()
		want, got := a.ask(method, path, body), b.ask(method, path, body)
		if !strings.HasPrefix(path, "/v3/") {
			want, got = recordID.ReplaceAllString(want, ""), recordID.ReplaceAllString(got, "")
		}
		if got != want {
			if failed++; failed <= 5 {
				t.Errorf("%s %s %s (-exported +imported):\n%s", method, path, body, cmp.Diff(want, got))
			}
		}
		refused := strings.HasPrefix(path, "/v3/reporting/") && strings.HasPrefix(want, "400") // goldens ask what must be refused, too
		if !strings.HasPrefix(want, "200") && !refused {
			t.Errorf("%s %s %s: %s", method, path, body, want)
		}
		if !refused {
			compared++
		}
	}
	for _, q := range goldenQuestions(t) {
		check("POST", "/v3/reporting/"+q[0]+"/1000", q[1])
	}
	check("POST", "/v3/reporting/clientPropertyList/1000", `{"properties":["prodVersion","geography.country","ram","C01","lifetimeEventUsage","lifetimeSessionCount"]}`)
	check("POST", "/v3/export/request/clientPropertyList/1000",
		`{"properties":["prodVersion","C02"],"retDailyData":{"startDate":"1999-11-01","stopDate":"2000-01-04","properties":["prodVersion"]}}`)
	check("GET", "/v3/event-tracking/1000", "")
	check("GET", "/v3/meta/productProperties/1000", "")
	for _, property := range []string{"prodVersion", "prodEdition", "C01", "C02", "geography.country", "os.platform"} {
		check("POST", "/v3/meta/propertyValues/1000", fmt.Sprintf(`{"property":%q}`, property))
	}
	check("POST", "/v3/license-key-registry/1000", `{}`)
	for page := 1; page <= 4; page++ {
		for _, order := range []string{"OldestFirst", "LatestFirst"} {
			check("POST", "/analytics/api/v1/events", fmt.Sprintf(
				`{"startDate":"1999-01-01","endDate":"2100-01-01","sortOrder":%q,"paging":{"page":%d,"perPage":400}}`, order, page))
		}
	}
	for n := range rawClients {
		check("POST", "/api/v3/business/report/event/user",
			fmt.Sprintf(`{"refId":"%d","from":"1999-01-01T00:00:00.000Z","until":"2100-01-01T00:00:00.000Z"}`, rawClient(n)))
	}
	for _, base := range []string{"customEventTracking/", "exceptionTracking/", "rawEvents/download/"} {
		compared++
		want := a.rows(base)
		if diff := cmp.Diff(want, b.rows(base)); diff != "" || len(want) == 0 {
			t.Errorf("%s: %d rows, -exported +imported:\n%s", base, len(want), diff)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d answers differ", failed, compared)
	}
	return compared
}

// goldenQuestions are the questions of the reports' goldens: path and body. It is
// 2000-01-01 in them.
func goldenQuestions(t *testing.T) (questions [][2]string) {
	t.Helper()
	paths, err := filepath.Glob("../../query/testdata/reports/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			report, body, ok := bytes.Cut(f.Data, []byte("/1001\n"))
			if ok && !bytes.ContainsAny(report, " \n") {
				questions = append(questions, [2]string{string(report), strings.ReplaceAll(string(body), `"NOW"`, `"2000-01-01"`)})
			}
		}
	}
	return questions
}
