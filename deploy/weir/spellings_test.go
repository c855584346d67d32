package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/property"
)

// TestSpellingsByEveryWay sends every spelling of spellingTable by POST
// /v1/event/report, POST /v1/user/property, `weir import` of lines, and, on a second
// server, `weir import` of the raw files of the first. It reads each back by filters,
// labels, groups, client lists, values, the Events API, last lines and all files.
func TestSpellingsByEveryWay(t *testing.T) {
	from, to := newTestServer(t, "--query.lookback", "0"), newTestServer(t, "--query.lookback", "0")
	from.start()
	d := from.demo()
	clients := spelledClients()
	var report, lines []string
	for _, c := range clients {
		if c.imported {
			lines = append(lines, c.event())
		} else {
			report = append(report, c.event())
		}
	}
	from.postEvents(d.Key, d.Secret, `{"data":[`+strings.Join(report, ",")+`]}`)
	file := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := from.importing(file).Wait(); err != nil {
		t.Fatalf("import of lines: %v", err)
	}
	a := &spelledServer{from.browser(), clients}
	for _, c := range clients {
		if c.settable() {
			if status, text := a.send("/v1/user/property", fmt.Sprintf(`{"euid":%d,"type":"set","properties":{"v":%s}}`, c.euid, c.sent)); status != 200 {
				t.Fatalf("set %s: %d %s", c.sent, status, text)
			}
		}
	}
	from.waitCounted(len(clients))
	t.Run("sent", func(t *testing.T) { a.t = t; a.checkAll(true) })
	t.Run("requests", func(t *testing.T) { a.t = t; a.checkRequests() })
	a.t = t
	files := a.rawFiles(t.TempDir())

	to.start()
	if err := to.importing(files[0], files[1:]...).Wait(); err != nil {
		t.Fatalf("import of raw files: %v", err)
	}
	to.waitCounted(len(clients))
	b := &spelledServer{to.browser(), clients}
	t.Run("raw files, imported", func(t *testing.T) { b.t = t; b.checkAll(false) }) // user attributes are not in raw files
}

// spelledClient is a client with one event. prodEdition of it is its row.
type spelledClient struct {
	euid     int
	imported bool
	spelledRow
	spelling
}

// spelledClients has a client for each spelling and way in.
func spelledClients() (all []spelledClient) {
	for _, row := range spellingTable() {
		for _, s := range row.values {
			all = append(all, spelledClient{1001 + len(all), false, row, s}, spelledClient{1002 + len(all), true, row, s})
		}
	}
	return all
}

func (c *spelledClient) event() string {
	return fmt.Sprintf(`{"euid":%d,"event_name":"Open","itime":%d,"random_id":"r-%d","properties":{"$client":%s,"own":%s}}`,
		c.euid, time.Now().UnixMilli(), c.euid, c.properties(), c.sent)
}

// properties is the $client of the client.
func (c *spelledClient) properties() string {
	out := fmt.Sprintf(`{"prodEdition":%q`, c.id())
	for _, p := range c.sentIn {
		out += fmt.Sprintf(`,%q:%s`, p, c.sent)
	}
	return out + "}"
}

// settable reports whether a user attribute can have the value.
func (c *spelledClient) settable() bool { return c.sent != "null" && c.sent[0] != '{' }

// listed is the JSON of a property in client lists.
func (c *spelledClient) listed(name string) string {
	switch {
	case name != userV:
		return normalJSON(c.read)
	case c.text == noValue:
		return normalJSON(quoteJSON(noValue))
	}
	return normalJSON(c.sent)
}

// label is a property as reports name it: the text of what lists have.
func (c *spelledClient) label(name string) string {
	if name == userV || name == "own" {
		return c.text
	}
	return unquoted([]byte(c.read))
}

// unquoted is a JSON string without its quotes, or anything else as it is.
func unquoted(v []byte) string {
	var text string
	if json.Unmarshal(v, &text) != nil {
		return string(v)
	}
	return text
}

// field is a property in last lines and tracking files.
func (c *spelledClient) field(p *property.Property) string {
	label := c.label(p.Name)
	switch {
	case label == noValue:
		return ""
	case p.Type == property.Flag:
		return map[string]string{"true": "Y", "false": "N"}[label]
	}
	return label
}

const (
	noValue = "<NULL>"
	userV   = "user.v" // the attribute that POST /v1/user/property sets
)

// normalJSON writes a JSON value in one way. Numbers keep their digits.
func normalJSON(text string) string {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return text
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// spelledServer is a server that has the clients.
type spelledServer struct {
	*browser
	clients []spelledClient
}

func (s *spelledServer) same(what string, want, got any) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// result asks the Reporting API and reads the result into out.
func (s *spelledServer) result(path, body string, out any) {
	s.t.Helper()
	answer := struct{ Result any }{out}
	status, text, _ := strings.Cut(s.ask("POST", "/v3/"+path+"/1000", body), "\n")
	if err := json.Unmarshal([]byte(text), &answer); status != "200" || err != nil {
		s.t.Fatalf("%s %s: %s %s", path, body, status, text)
	}
}

// send sends to the Ingestion API, and returns the status and the answer.
func (s *spelledServer) send(path, body string) (int, string) {
	s.t.Helper()
	d := s.demo()
	r, err := http.NewRequest("POST", s.url()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(d.Key, d.Secret)
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// checkRequests plays the requests of the docs' table.
func (s *spelledServer) checkRequests() {
	today := time.Now().UTC().Format(time.DateOnly)
	for _, r := range spelledRequests() {
		answer := s.ask("POST", r.path, strings.ReplaceAll(r.body, "%DAY%", today))
		if !strings.HasPrefix(answer, fmt.Sprint(r.status, "\n")) || !strings.Contains(answer, r.text) {
			s.t.Errorf("%s: %s: %s, want %d %s", r.row, r.body, answer, r.status, r.text)
		}
	}
}

// checkAll reads every client back. Only the server that the changes were sent to has
// user attributes, which are not in raw files.
func (s *spelledServer) checkAll(attributes bool) {
	for _, row := range spellingTable() {
		of := slices.DeleteFunc(slices.Clone(s.clients), func(c spelledClient) bool { return c.id() != row.id() })
		names := row.readIn
		if attributes {
			names = append(slices.Clone(names), userV)
		}
		for _, name := range names {
			s.checkReports(row, name, of)
			s.checkFilters(row, name, "globalFilters", of)
		}
		s.checkFilters(row, "own", "eventProperties", of)
	}
	s.checkFiles()
	s.checkEventList()
}

// checkReports reads a property of the clients of a row by labels, groups, lists and
// values.
func (s *spelledServer) checkReports(row spelledRow, name string, of []spelledClient) {
	what := row.id() + ": " + name
	only := fmt.Sprintf(`"globalFilters":{"prodEdition":{"type":"string","value":%q}}`, row.id())
	labels, listed, values := map[string]int{noValue: 0}, map[string]string{}, []string{}
	for _, c := range of {
		labels[c.label(name)]++
		listed[fmt.Sprint(c.euid)] = c.listed(name)
	}
	for label := range labels {
		if label != noValue {
			values = append(values, label)
		}
	}
	slices.Sort(values)

	var current struct {
		Level1 map[string]struct{ Totals struct{ Active int } }
		Totals struct{ Active int }
	}
	s.result("reporting/generic/current", fmt.Sprintf(
		`{"clientStatus":["active"],%s,"levels":{"level1":{"property":%q,"segments":[{"type":"regex","value":"(?s).*","split":true,"includeNull":true}]}}}`, only, name), &current)
	got := map[string]int{}
	for label, series := range current.Level1 {
		got[label] = series.Totals.Active
	}
	s.same(what+", labels", labels, got)
	if name == property.NameLicenseKey {
		s.result("reporting/generic/current", `{"clientStatus":["active"],"groupBy":"licenseKey",`+only+`}`, &current)
		s.same(what+", groups", len(values), current.Totals.Active)
		var keys []struct{ LicenseKey string }
		s.result("license-key-registry", `{}`, &keys)
		got := []string{}
		for _, k := range keys {
			got = append(got, k.LicenseKey)
		}
		s.same(what+", license keys", values, got)
	}
	for _, path := range []string{"reporting/clientPropertyList", "export/request/clientPropertyList"} {
		s.same(what+", "+path, listed, s.list(path, fmt.Sprintf(`{"properties":[%q],%s}`, name, only), name))
	}
	if p := property.Find(name); p != nil && p.Values && len(row.sentIn) == 1 { // else other rows send it too
		s.same(what+", values", values, s.values(name))
	}
}

// list is a property of clients, as JSON, by client.
func (s *spelledServer) list(path, body, name string) map[string]string {
	var clients []map[string]json.RawMessage
	s.result(path, body, &clients)
	out := map[string]string{}
	for _, c := range clients {
		out[unquoted(c["clientId"])] = normalJSON(string(c[name]))
	}
	return out
}

func (s *spelledServer) values(name string) (out []string) {
	body := fmt.Sprintf(`{"property":%q}`, name)
	if parent, child, nested := strings.Cut(name, "."); nested {
		body = fmt.Sprintf(`{"property":%q,"granularity":%q}`, parent, child)
	}
	var values []struct{ Value string }
	s.result("meta/propertyValues", body, &values)
	for _, v := range values {
		out = append(out, v.Value)
	}
	return out
}

// checkFilters asks for the clients of a row that pass its filters.
func (s *spelledServer) checkFilters(row spelledRow, name, filterList string, of []spelledClient) {
	for _, f := range row.filters {
		want := []string{}
		for _, c := range of {
			if slices.Contains(f.matches, c.label(name)) {
				want = append(want, fmt.Sprint(c.euid))
			}
		}
		filters := map[string]string{"globalFilters": fmt.Sprintf(`"prodEdition":{"type":"string","value":%q}`, row.id()), "eventProperties": ""}
		filters[filterList] = strings.TrimPrefix(filters[filterList]+fmt.Sprintf(`,%q:%s`, name, f.filter), ",")
		body := fmt.Sprintf(`{"clientStatus":["active"],"globalFilters":{%s},"eventProperties":{%s}}`, filters["globalFilters"], filters["eventProperties"])
		got := slices.Sorted(maps.Keys(s.list("reporting/clientPropertyList", body, "clientId")))
		s.same(fmt.Sprintf("%s: %s, filter %s", row.id(), name, f.filter), want, append([]string{}, got...))
		var current struct{ Totals struct{ Active int } }
		s.result("reporting/generic/current", body, &current)
		s.same(fmt.Sprintf("%s: %s, count of filter %s", row.id(), name, f.filter), len(want), current.Totals.Active)
	}
}

// checkFiles reads the last lines, the tracking file and the raw file.
func (s *spelledServer) checkFiles() {
	var lines []map[string]string
	s.result("customEventTracking/getLastLines", `{"lineCount":1000}`, &lines)
	keyed := map[string]map[string]string{}
	for _, line := range lines {
		keyed[line["clientId"]] = line
	}
	custom, raw := s.csv("customEventTracking/", "Client ID"), s.csv("rawEvents/download/", "clientId")
	for _, c := range s.clients {
		id := fmt.Sprint(c.euid)
		for _, name := range c.readIn {
			if p := property.Find(name); p.Header != "" {
				s.same(c.id()+": last lines, "+name, c.field(p), keyed[id][name])
				s.same(c.id()+": tracking file, "+name, c.field(p), custom[id][p.Header])
			}
		}
		if c.text != noValue { // else it is as it was sent
			s.same(c.id()+": last lines, own", "(own,"+c.text+")", keyed[id]["event.data"])
		}
		s.same(c.id()+": raw file", normalJSON(c.properties()), normalJSON(raw[id]["$client"]))
		s.same(c.id()+": raw file, own", normalJSON(`{"own":`+c.sent+`}`), normalJSON(raw[id]["properties"]))
	}
}

// csv is the rows of today's file by client.
func (s *spelledServer) csv(base, key string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, name := range fileNames(s.ask("GET", "/v3/"+base+"listFiles/1000", "")) {
		rows := unzipped(s.t, s.download(base, name))
		for _, row := range rows[1:] {
			fields := map[string]string{}
			for i, field := range row {
				fields[rows[0][i]] = field
			}
			out[fields[key]] = fields
		}
	}
	return out
}

// checkEventList reads the events' own values in the Events API.
func (s *spelledServer) checkEventList() {
	_, text, _ := strings.Cut(s.ask("POST", "/analytics/api/v1/events", fmt.Sprintf(
		`{"startDate":%q,"paging":{"page":1,"perPage":1000}}`, time.Now().UTC().Add(-24*time.Hour).Format(time.DateOnly))), "\n")
	var answer struct {
		Results []struct {
			RandomID   string
			Parameters json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		s.t.Fatalf("events: %s", text)
	}
	got := map[string]string{}
	for _, e := range answer.Results {
		got[e.RandomID] = normalJSON(string(e.Parameters))
	}
	for _, c := range s.clients {
		s.same(c.id()+": Events API", normalJSON(`{"own":`+c.sent+`}`), got[fmt.Sprint("r-", c.euid)])
	}
}
