package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	rawHeader13 = "id,received,time,clientId,name,category,value,sessionId,runtime,appKey,properties,shard,offset"
	rawHeader   = rawHeader13 + ",appName,appVersion,contentLocale,uiLocale,offline,userAgent,ip,user,$client,hasException," +
		"exceptionClass,exceptionMethod,exceptionMessage,exceptionStack,valueText"
)

// zipped is an archive with one member for each text.
func zipped(t *testing.T, texts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i, text := range texts {
		w, err := z.Create(fmt.Sprint(i, ".csv"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, text)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// csvField is a field as export files have it.
func csvField(text string) string {
	if !strings.ContainsAny(text, ",\"\r\n") {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// row is a row with the 13 columns of before; more are appended.
func row(id, received string, client int64, name, appKey string, shard, offset int, more ...string) string {
	fields := []string{id, received, received, fmt.Sprint(client), name, "", "", "", "", appKey, "{}", fmt.Sprint(shard), fmt.Sprint(offset)}
	for i, text := range append(fields, more...) {
		fields = append(fields[:i], csvField(text))
	}
	return strings.Join(fields, ",") + "\r\n"
}

const rawDay = "2024-03-01T09:15:00.042Z"

func TestImportReadsRawFiles(t *testing.T) {
	full := rawHeader + ",later\r\n" +
		`"r,1",2024-03-02T00:00:00.000Z,` + rawDay + `,9223372036854775807,"Save` + "\r\n" + `all",File,2.50,s-1,12.345,app,"{ ""Key1"" : ""Value,1"", ""n"":1.50 }",2,100,` +
		`Anvil,3.1,de-AT,en,false,"Mozilla/5.0, (X11)",192.0.2.1,"{""id"":""ann""}","{""ram"":8192,""geography.country"":null}",true,IOError,read,"no ""such"" file","at a` + "\r\nat b" + `",2.5e0,x` + "\r\n" +
		"r-2,2024-03-02T00:00:00.001Z," + rawDay + ",42,Ping,,,,,,{},2,101,,,,,,,,,,true,,,,,,\r\n"
	before := rawHeader13 + "\r\n" + row("r-3", "2024-03-03T00:00:00.000Z", 42, "Ping", "app", 1, 7)
	e := &fakeIngest{}
	code, stdout, stderr, _ := imported(t, e, nil, map[string][]byte{
		"1001_2024-03-02.zip": zipped(t, full), "1001_2024-03-03.csv": []byte(before), "more.ndjson": lines(1),
	})
	if code != 0 || !strings.HasPrefix(stdout, "sent 4 events of 3 files in ") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	slices.SortFunc(e.got, func(a, b map[string]any) int {
		return strings.Compare(fmt.Sprint(a["random_id"]), fmt.Sprint(b["random_id"]))
	})
	want := []map[string]any{
		{
			"random_id": "r,1", "euid": "9223372036854775807", "event_name": "Save\r\nall", "itime": 1709284500042.0, "app_key": "app", "geoip": "off",
			"properties": map[string]any{
				"$category": "File", "$value": 2.5, "$session_id": "s-1", "$runtime": 12.345, "$app_name": "Anvil", "$app_version": "3.1",
				"$content_locale": "de-AT", "$ui_locale": "en", "$offline": false, "$user_agent": "Mozilla/5.0, (X11)", "$ip": "192.0.2.1",
				"$user": map[string]any{"id": "ann"}, "$client": map[string]any{"ram": 8192.0, "geography.country": nil},
				"$exception": map[string]any{"className": "IOError", "methodName": "read", "message": `no "such" file`, "stackTrace": "at a\r\nat b"},
				"Key1":       "Value,1", "n": 1.5,
			},
		},
		{
			"random_id": "r-2", "euid": "42", "event_name": "Ping", "itime": 1709284500042.0, "geoip": "off",
			"properties": map[string]any{"$exception": map[string]any{}},
		},
		{
			"random_id": "r-3", "euid": "42", "event_name": "Ping", "itime": 1709424000000.0, "app_key": "app", "geoip": "off",
			"properties": map[string]any{},
		},
	}
	if diff := cmp.Diff(want, e.got[1:]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !strings.Contains(stderr, "1001_2024-03-03.csv was exported by an earlier version and has no $client, appName, ") {
		t.Errorf("no warning of the file of before:\n%s", stderr)
	}
	if strings.Contains(stderr, "03-02.zip was exported") {
		t.Errorf("a warning of the full file:\n%s", stderr)
	}
}

func TestImportRejectsBadRows(t *testing.T) {
	good := row("r-1", rawDay, 1, "a", "", 0, 1, strings.Split(",,,,,,,,,,,,,,", ",")...)
	change := func(column int, to string) string {
		fields := strings.Split(strings.TrimSuffix(good, "\r\n"), ",")
		fields[column] = csvField(to)
		return strings.Join(fields, ",") + "\r\n"
	}
	rows := []string{
		good, "\r\n", change(1, "yesterday"), change(2, "2024-13-01T00:00:00.000Z"), change(3, "0"), change(3, "12.0"), change(0, ""), change(6, "NaN"),
		change(8, "1h"), change(10, "[]"), change(10, `{"a":`), change(11, "-1"), change(12, "x"), change(17, "yes"), change(20, `"ann"`),
		change(21, "{"), change(22, "1"), change(4, "\xff"), change(27, "x"), "a,b\r\n",
	}
	e := &fakeIngest{}
	code, stdout, stderr, dir := imported(t, e, nil, map[string][]byte{"f": []byte(rawHeader + "\r\n" + strings.Join(rows, ""))})
	text, err := os.ReadFile(filepath.Join(dir, "f.rejected"))
	if err != nil || code != 1 || len(e.got) != 1 {
		t.Fatalf("exit %d, %d events, %v\n%s%s", code, len(e.got), err, stdout, stderr)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		var r rejection
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Text == "" {
			t.Fatalf("%v in %s", err, line)
		}
		got = append(got, fmt.Sprint(r.Line, " ", r.Field, " ", r.Reason))
	}
	want := []string{
		"4 received is not a time like 2024-03-01T09:15:00.042Z",
		"5 time is not a time like 2024-03-01T09:15:00.042Z",
		"6 clientId is not a whole number from 1 on",
		"7 clientId is not a whole number from 1 on",
		"8 id is empty",
		"9 value is not a number",
		"10 runtime is not a number",
		"11 properties is not a JSON object",
		"12 properties is not a JSON object",
		"13 shard is not a whole number from 0 on",
		"14 offset is not a whole number from 0 on",
		`15 offline "yes" is neither true, false nor empty`,
		"16 user is not a JSON object",
		"17 $client is not a JSON object",
		`18 hasException "1" is neither true nor empty`,
		"19 name is not UTF-8",
		"20 valueText is not a number",
		"21  has 2 fields, the header has 28",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestImportRefusesOtherFiles(t *testing.T) {
	for what, c := range map[string]struct {
		text []byte
		want string
	}{
		"custom events":     {[]byte("Timestamp,Client ID,Edition\r\n"), "import the raw file of the day"},
		"two members":       {zipped(t, "a", "b"), "holds 2 files, want one"},
		"no column":         {[]byte("id,received,time,x\r\n"), "not a raw export: the first line is no JSON object, and as a header it has no column clientId"},
		"a text":            {[]byte("nonsense"), "not a raw export: the first line is no JSON object, and as a header it has no column id"},
		"a page":            {[]byte("<p class=\"x\">\n" + string(lines(2))), "not a raw export: line 1"},
		"an array":          {[]byte("[\n" + string(lines(2))), "f: not a raw export"},
		"a cut header":      {[]byte(rawHeader[:len(rawHeader)-3]), "f: ends within the header"},
		"a header at last":  {[]byte(rawHeader13), "f: ends within the header"},
		"an empty archive":  {zipped(t), "f: the archive holds 0 files, want one"},
		"an empty member":   {zipped(t, ""), "f: is empty"},
		"a column twice":    {[]byte(rawHeader + ",id\r\n"), "column id twice"},
		"open quotes":       {[]byte(rawHeader + "\r\n\"r-1"), "line 2: not a CSV file of RFC 4180: the file ends inside quotes"},
		"text after quotes": {[]byte(rawHeader + "\r\n\"r-1\"x,"), "text after the closing quote"},
		"a stray quote":     {[]byte(rawHeader + "\r\nr\"1,"), "a quote in a field"},
		"a broken archive":  {zipped(t, rawHeader)[:60], "zip"},
	} {
		e := &fakeIngest{}
		code, _, stderr, dir := imported(t, e, nil, map[string][]byte{"f": c.text, "good.csv": []byte(rawHeader13 + "\r\n" + row("r-1", rawDay, 1, "a", "", 0, 1))})
		left, _ := filepath.Glob(filepath.Join(dir, "*.rejected"))
		if code != 1 || !strings.Contains(stderr, c.want) || len(e.got) > 0 || len(left) > 0 {
			t.Errorf("%s: exit %d, %s; want %s; sent %v, left %v", what, code, stderr, c.want, e.got, left)
		}
	}
	for _, name := range []string{"a.zip", "b.CSV"} {
		for _, text := range []string{"", "\xef\xbb\xbf\r\n"} {
			code, _, stderr, _ := imported(t, &fakeIngest{}, nil, map[string][]byte{name: []byte(text)})
			if code != 1 || !strings.Contains(stderr, name+": is empty, a raw export has a header at least") {
				t.Errorf("%s of %q: exit %d, %s", name, text, code, stderr)
			}
		}
	}
}

// TestImportFindsColumnsByName: a raw file that another program wrote again, with its
// columns in another order and case and a byte order mark, is read as the original.
func TestImportFindsColumnsByName(t *testing.T) {
	const want = `,"euid":"7","event_name":"Save","itime":1709284500042,"properties":{"$client":{"ram":1}}}`
	for name, text := range map[string]string{
		"order": "$client,client,offset,shard,name,clientId,time,received,id\n" + `"{""ram"":1}",{},4,1,Save,7,` + rawDay + "," + rawDay + ",r-1\n",
		"case":  "\xef\xbb\xbf" + `"ID",Received,TIME,clientid,NAME,$Client,SHARD,Offset,Client` + "\r\nr-1," + rawDay + "," + rawDay + `,7,Save,"{""ram"":1}",1,4,{}` + "\r\n",
		"exact": "ID,id,received,time,clientId,name,$client,shard,offset\nx,r-1," + rawDay + "," + rawDay + `,7,Save,"{""ram"":1}",1,4` + "\n",
	} {
		e := &fakeIngest{}
		code, _, stderr, _ := imported(t, e, nil, map[string][]byte{"f": []byte(text)})
		var wanted map[string]any
		if err := json.Unmarshal([]byte(`{"geoip":"off","random_id":"r-1"`+want), &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]map[string]any{wanted}, e.got); code != 0 || diff != "" {
			t.Errorf("%s: exit %d, %s\n-want +got\n%s", name, code, stderr, diff)
		}
	}
}

// TestImportSendsRowsOnceAndAll: a row that is in two files is sent once; an id that
// was used again is replaced in all events but the first, and each time by the same.
func TestImportSendsRowsOnceAndAll(t *testing.T) {
	first := rawHeader13 + "\r\n" + row("again", "2024-03-02T00:00:00.000Z", 1, "first", "", 0, 5) + row("once", "2024-03-02T00:00:00.000Z", 1, "b", "", 0, 6)
	second := rawHeader13 + "\r\n" + row("again", "2024-03-09T00:00:00.000Z", 1, "second", "", 0, 50) + row("again", "2024-04-09T00:00:00.000Z", 1, "third", "", 0, 70) +
		row("again", "2024-03-01T00:00:00.000Z", 2, "of another client", "", 0, 2)
	send := func() (ids map[string]string, stdout string) {
		e := &fakeIngest{}
		code, stdout, stderr, _ := imported(t, e, nil, map[string][]byte{
			"a": []byte(second), "b.zip": zipped(t, first), "c": []byte(first), "d": []byte(second + row("once", "2024-03-02T00:00:00.000Z", 1, "b", "", 0, 6)),
		})
		ids = map[string]string{}
		for _, event := range e.got {
			ids[event["event_name"].(string)] = event["random_id"].(string)
		}
		if code != 0 || len(e.got) != 5 {
			t.Fatalf("exit %d, sent %v\n%s", code, e.got, stderr)
		}
		return ids, stdout
	}
	ids, stdout := send()
	if ids["first"] != "again" || ids["of another client"] != "again" || ids["b"] != "once" || len(ids["second"]) != 36 || len(ids["third"]) != 36 || ids["second"] == ids["third"] {
		t.Errorf("ids = %v", ids)
	}
	if !strings.Contains(stdout, "left out 6 rows that had come before") || !strings.Contains(stdout, "gave new ids to 2 events") {
		t.Errorf("summary:\n%s", stdout)
	}
	if again, _ := send(); !cmp.Equal(ids, again) {
		t.Errorf("sent again with other ids: %v, before %v", again, ids)
	}
}

// TestImportPrefersTheFileWithMoreColumns: of the rows of one event, the one of the file
// with most columns is sent, and of equal files always the same, whatever their order
// and however many rows there are in memory.
func TestImportPrefersTheFileWithMoreColumns(t *testing.T) {
	const rows = 10
	file := func(header string, more ...string) string {
		text := header + "\r\n"
		for i := range rows {
			text += row(fmt.Sprint("r-", i), "2024-03-02T00:00:00.000Z", 1, fmt.Sprint("Save ", i), "", 0, i, more...)
		}
		return text
	}
	empty := make([]string, 14)
	texts := []string{
		file(rawHeader13), file(rawHeader13+",appName", "Anvil?"),
		file(rawHeader, append([]string{"Anvil"}, empty...)...), file(rawHeader, append([]string{"Other"}, empty...)...),
	}
	sent := func(limit int, order ...int) string {
		raw := newRawImport()
		defer raw.close()
		raw.rows.limit, raw.rows.fanIn = limit, 2
		for _, i := range order {
			in := newCSVReader(bufio.NewReader(strings.NewReader(texts[i])))
			if err := raw.gather(t.Context(), &inputFile{}, in, func(string) {}, nil); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for row, err := range raw.all() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(row.rest))
		}
		if len(got) != rows || raw.repeated != int64(rows*(len(order)-1)) {
			t.Fatalf("files %v: sent %q, left out %d", order, got, raw.repeated)
		}
		return strings.Join(got, "\n")
	}
	for _, limit := range []int{rawRowBytes, 1} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {0, 2, 0, 0}} {
			if got, want := sent(limit, order...), sent(limit, 2); got != want {
				t.Errorf("files %v: sent %s, want %s", order, got, want)
			}
		}
		if a, b := sent(limit, 0, 2, 3), sent(limit, 3, 2, 0); a != b {
			t.Errorf("the order of files decides: %s or %s", a, b)
		}
	}
	if got, want := sent(rawRowBytes, 0, 1), sent(rawRowBytes, 1); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// TestImportKeepsTheOrderOfTheLog: of two rows of one shard with the same event time,
// the one with the smaller offset is sent first, whatever file, place and app_key they
// have. Rows whose times differ may change places, so that requests are large.
func TestImportKeepsTheOrderOfTheLog(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	const rows, shards = 9000, 5
	files := make([][]string, 3)
	for i := range rows {
		at := time.Date(2024, 3, 2, 0, 0, i/10, 0, time.UTC).Format(rawTimeLayout)
		text := row(fmt.Sprint("r-", i), at, int64(r.IntN(50)+1), fmt.Sprint(i), pick(r, "", "web", "app"), r.IntN(shards), i)
		file := r.IntN(len(files))
		files[file] = append(files[file], strings.Replace(text, ","+at+","+at, ","+at+","+time.UnixMilli(int64(r.IntN(3000))).UTC().Format(rawTimeLayout), 1))
	}
	content := map[string][]byte{}
	for i, lines := range files {
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		content[fmt.Sprint(i)] = []byte(rawHeader13 + "\r\n" + strings.Join(lines, ""))
	}
	e := &fakeIngest{}
	code, stdout, stderr, _ := imported(t, e, []string{"--parallel", "3"}, content)
	if code != 0 || len(e.got) != rows {
		t.Fatalf("exit %d, %d events\n%s%s", code, len(e.got), stdout, stderr)
	}
	shardOf := map[string]string{}
	for _, lines := range files {
		for _, line := range lines {
			fields := strings.Split(strings.TrimSpace(line), ",")
			shardOf[fields[4]] = fields[11]
		}
	}
	last := map[string]int{}
	for _, event := range e.got {
		var n int
		name := event["event_name"].(string)
		_, _ = fmt.Sscan(name, &n)
		at := fmt.Sprint(shardOf[name], " ", event["itime"])
		if before, ok := last[at]; ok && before > n {
			t.Fatalf("row %d was sent after row %d, both of shard and time %s", n, before, at)
		}
		last[at] = n
	}
	if e.requests > rows/8 {
		t.Errorf("%d requests for %d rows", e.requests, rows)
	}
}

func TestDiskSorter(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 4))
	for _, n := range []int{0, 1, 100, 2000} {
		s := &diskSorter{dir: t.TempDir(), key: 4, limit: 500, fanIn: 4}
		var want []string
		for i := range n {
			record := binary.BigEndian.AppendUint32(nil, r.Uint32N(1000))
			record = append(record, strings.Repeat("x", r.IntN(30))...)
			record = binary.BigEndian.AppendUint32(record, uint32(i))
			want = append(want, string(record))
			if err := s.add(record); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(a[:4], b[:4]) })
		i := 0
		for record, err := range s.all() {
			if err != nil {
				t.Fatal(err)
			}
			if string(record[:4]) != want[i][:4] {
				t.Fatalf("%d records: record %d is %x, want %x", n, i, record, want[i])
			}
			want[i] = string(record) // those of one key come in any order
			i++
		}
		slices.Sort(want)
		if i != n || len(slices.Compact(want)) != n {
			t.Errorf("%d of %d records, %d different", i, n, len(slices.Compact(want)))
		}
		if n == 2000 && len(s.levels) < 3 {
			t.Errorf("%d levels, want 3: nothing was merged", len(s.levels))
		}
		s.close()
		if left, _ := os.ReadDir(s.dir); len(left) > 0 {
			t.Errorf("%d files are left", len(left))
		}
	}
}

// FuzzCSVReader: what is written by RFC 4180 is read back byte for byte.
func FuzzCSVReader(f *testing.F) {
	f.Add("a", "b", "")
	f.Add(`"`, "\r\n", ",")
	f.Add("at a\r\nat b\r", "\n\r", `""`)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if strings.HasSuffix(c, "\r") {
			c += "."
		}
		fields := []string{a, b, c, "x"}
		line := csvField(a) + "," + csvField(b) + "," + csvField(c) + ",x"
		for _, end := range []string{"\r\n", "\n", ""} {
			in := newCSVReader(bufio.NewReader(strings.NewReader(line + end)))
			got, at, err := in.read()
			if err != nil || at != 1 || len(got) != len(fields) {
				t.Fatalf("%q: %q at line %d, %v", line, got, at, err)
			}
			for i := range fields {
				if string(got[i]) != fields[i] {
					t.Errorf("%q: field %d is %q, want %q", line, i, got[i], fields[i])
				}
			}
			if _, _, err := in.read(); !errors.Is(err, io.EOF) {
				t.Errorf("%q: after the end %v", line, err)
			}
		}
	})
}

// FuzzRawRow makes events of arbitrary files: each row is rejected with a reason, or
// becomes a valid item of data[] with its id, client and name.
func FuzzRawRow(f *testing.F) {
	f.Add([]byte(rawHeader + "\r\n" + row("r-1", rawDay, 1, "a", "k", 0, 1, strings.Split(",,,,,,,,,true,,,,,2.50", ",")...)))
	f.Add([]byte(rawHeader13 + "\n" + row("r,2", rawDay, 1<<62, "\"q\"\r\n", "", 3, 1<<40)))
	f.Add([]byte(strings.Replace(rawHeader, "$client", "client", 1) + "\n,,\n\"\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		in := newCSVReader(bufio.NewReader(bytes.NewReader(file)))
		header, _, err := in.read()
		if err != nil {
			return
		}
		d, _, err := newRawDecoder(cloned(header))
		if err != nil {
			return
		}
		for {
			fields, _, err := in.read()
			if err != nil {
				return
			}
			e, bad := d.decode(fields)
			if bad != nil {
				if bad.Reason == "" {
					t.Fatalf("%q was rejected without a reason", fields)
				}
				continue
			}
			var event struct {
				EUID       string `json:"euid"`
				Name       string `json:"event_name"`
				Time       int64  `json:"itime"`
				Properties map[string]json.RawMessage
			}
			if err := json.Unmarshal([]byte(`{"random_id":"x"`+string(e.rest)), &event); err != nil {
				t.Fatalf("%q became %s: %v", fields, e.rest, err)
			}
			if event.EUID != fmt.Sprint(e.client) || event.Time != e.time || event.Name != string(fields[d.columns["name"]]) {
				t.Fatalf("%q became %s", fields, e.rest)
			}
			if kept, err := decodeRow(append(append(e.appendKey(nil), make([]byte, fingerprintBytes+rowRank)...), 0)); err == nil {
				t.Fatalf("a damaged row was read as %+v", kept)
			}
		}
	})
}

func cloned(fields [][]byte) (out [][]byte) {
	for _, f := range fields {
		out = append(out, bytes.Clone(f))
	}
	return out
}
