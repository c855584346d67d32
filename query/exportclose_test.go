package query

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/registry"
)

// run keeps the service's own work going until the test ends.
func (w *exportWorld) run(s *Service) {
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
}

// listed is what listFiles says, in short: open files with their availability,
// daily and monthly ones.
func (w *exportWorld) listed(path string) []string {
	w.t.Helper()
	out := w.ask(w.userA, http.MethodGet, path, "")
	var answer struct {
		OpenDailyFiles []struct {
			FileName    string `json:"fileName"`
			IsAvailable bool   `json:"isAvailable"`
		} `json:"openDailyFiles"`
		DailyFiles, MonthlyFiles []struct {
			FileName string `json:"fileName"`
		}
	}
	if err := json.Unmarshal(out.Body.Bytes(), &answer, json.MatchCaseInsensitiveNames(true)); err != nil || out.Code != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s: %v", path, out.Code, out.Body, err)
	}
	list := []string{}
	for _, f := range answer.OpenDailyFiles {
		word := "open "
		if !f.IsAvailable {
			word = "processing "
		}
		list = append(list, word+f.FileName)
	}
	for _, f := range slices.Concat(answer.DailyFiles, answer.MonthlyFiles) {
		list = append(list, f.FileName)
	}
	return list
}

func (w *exportWorld) check(at string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.listed("/v3/customEventTracking/listFiles/1001")); diff != "" {
		w.t.Errorf("%s: files (-want +got):\n%s", at, diff)
	}
}

// download returns the rows of a file of product 1001, without the header.
func (w *exportWorld) download(base, name string) [][]string {
	w.t.Helper()
	out := w.ask(w.userA, http.MethodPost, base+"getDownloadUrl/1001", `{"fileName":"`+name+`"}`)
	var answer struct {
		DownloadURL string `json:"downloadUrl"`
	}
	if err := json.Unmarshal(out.Body.Bytes(), &answer); err != nil || out.Code != http.StatusOK {
		w.t.Fatalf("link to %s: %d %s", name, out.Code, out.Body)
	}
	archive := w.bucket.get(w.t, answer.DownloadURL)
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		w.t.Fatal(err)
	}
	if want := strings.TrimSuffix(name, ".zip") + ".csv"; len(z.File) != 1 || z.File[0].Name != want {
		w.t.Fatalf("%s has %d members, first %s; want %s", name, len(z.File), z.File[0].Name, want)
	}
	body, err := z.File[0].Open()
	if err != nil {
		w.t.Fatal(err)
	}
	rows, err := csv.NewReader(body).ReadAll()
	if err != nil {
		w.t.Fatal(err)
	}
	return rows[1:]
}

const (
	custom = "/v3/customEventTracking/"
	raw    = "/v3/rawEvents/download/"
)

// names are the event names in a file, sorted.
func (w *exportWorld) names(base, name string) []string {
	w.t.Helper()
	column := map[string]int{custom: 25, raw: 4}[base]
	names := []string{}
	for _, row := range w.download(base, name) {
		names = append(names, row[column])
	}
	slices.Sort(names)
	return names
}

// TestDaysClose goes over a midnight with a shard that is quiet, and over the
// end of a month.
func TestDaysClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{CloseEvery: time.Hour})
		w.run(w.Service)
		midnight := func(day int) time.Time { return time.Date(2000, 1, day, 0, 0, 0, 0, time.UTC) }
		w.check("nothing has arrived", "open 1001_cust_2000-01-01.zip")

		time.Sleep(10 * time.Hour)
		w.arrive(0, time.Now(), event(1001, "a"), event(1001, "b"), sessionStop(1001))
		w.arrive(1, time.Now(), event(1001, "c"), event(2001, "theirs"))
		w.check("first day", "open 1001_cust_2000-01-01.zip")

		time.Sleep(time.Until(midnight(2)) - time.Millisecond)
		w.arrive(0, time.Now(), event(1001, "last of its day"))
		time.Sleep(5 * time.Minute)
		w.arrive(0, time.Now(), event(1001, "d"))
		time.Sleep(2 * time.Hour)
		w.check("shard 1 is quiet", "open 1001_cust_2000-01-01.zip", "open 1001_cust_2000-01-02.zip")

		w.arrive(1, midnight(2)) // the tick that its owner writes, at the first instant of the day
		w.check("closed, not built", "processing 1001_cust_2000-01-01.zip", "open 1001_cust_2000-01-02.zip")
		if got, want := w.names(custom, "1001_cust_2000-01-01.zip"), []string{"a", "b", "c", "last of its day"}; !slices.Equal(got, want) {
			t.Errorf("before it is built the file has %q, want %q", got, want)
		}
		time.Sleep(90 * time.Minute)
		w.check("built", "open 1001_cust_2000-01-02.zip", "1001_cust_2000-01-01.zip")
		if got, want := w.names(custom, "1001_cust_2000-01-01.zip"), []string{"a", "b", "c", "last of its day"}; !slices.Equal(got, want) {
			t.Errorf("first day = %q, want %q", got, want)
		}
		if got, want := w.names(custom, "1001_cust_2000-01-02.zip"), []string{"d"}; !slices.Equal(got, want) {
			t.Errorf("second day = %q, want %q", got, want)
		}
		before := w.bucket.keys()

		time.Sleep(time.Until(midnight(31)) + 12*time.Hour)
		w.arrive(1, time.Now(), event(1001, "e"))
		time.Sleep(time.Until(midnight(32)))
		w.tick(time.Now())
		time.Sleep(90 * time.Minute)
		w.check("the month is over", "open 1001_cust_2000-02-01.zip",
			"1001_cust_2000-01-01.zip", "1001_cust_2000-01-02.zip", "1001_cust_2000-01-31.zip", "1001_cust_2000-01-01_to_2000-01-31.zip")
		if got, want := w.names(custom, "1001_cust_2000-01-01_to_2000-01-31.zip"), []string{"a", "b", "c", "d", "e", "last of its day"}; !slices.Equal(got, want) {
			t.Errorf("month = %q, want %q", got, want)
		}
		if got, want := w.names(raw, "1001_2000-01-01.zip"), []string{"a", "b", "c", "last of its day", "session_stop"}; !slices.Equal(got, want) {
			t.Errorf("all events of the first day = %q, want %q", got, want)
		}
		after := w.bucket.keys()
		for _, key := range before {
			if strings.HasSuffix(key, "/1001_cust_2000-01-01.zip") && !slices.Contains(after, key) && !w.lent(key) {
				t.Errorf("closed file %s is gone", key)
			}
		}
	})
}

// lent says whether key is not one that the registry keeps.
func (w *exportWorld) lent(key string) bool {
	files, err := w.deps.Registry.ExportsWithin(w.t.Context(), "0000-01-01", "9999-12-31")
	if err != nil {
		w.t.Fatal(err)
	}
	return !slices.ContainsFunc(files, func(f registry.ExportFile) bool { return f.Key == key })
}

// TestLogTimeAheadOfTheClock: the logs may pass midnight before the clock of this
// process does. Then today is closed, and arrivals are of tomorrow.
func TestLogTimeAheadOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{})
		midnight := time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)
		w.arrive(0, time.Now(), event(1001, "a"))
		time.Sleep(24*time.Hour - 3*time.Minute)
		w.arrive(0, midnight, event(1001, "b"))
		w.arrive(1, midnight)
		if err := w.files.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.check("before midnight", "open 1001_cust_2000-01-02.zip", "1001_cust_2000-01-01.zip")
		if got := w.names(custom, "1001_cust_2000-01-02.zip"); !slices.Equal(got, []string{"b"}) {
			t.Errorf("tomorrow = %q, want b", got)
		}
	})
}

// TestFilesAreBuiltOnce runs two processes side by side, and a store that
// fails now and then.
func TestFilesAreBuiltOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{})
		other, err := newService(Config{}, w.deps, w.bucket)
		if err != nil {
			t.Fatal(err)
		}
		w.bucket.fault = func(attempt int) error {
			if attempt == 1 {
				return errors.New("store is away")
			}
			return nil
		}
		w.arrive(0, time.Now(), event(1001, "a"), exception("b"), event(2001, "c"))
		w.tick(time.Now().Add(24 * time.Hour))
		w.run(w.Service)
		w.run(other)
		time.Sleep(time.Hour)

		files, err := w.deps.Registry.ExportsWithin(t.Context(), "2000-01-01", "2000-01-01")
		if err != nil || len(files) != 5 {
			t.Fatalf("%d files, %v; want cust, exc and raw of 1001, cust and raw of 2001", len(files), err)
		}
		for name, n := range w.bucket.attempts() {
			if n != 2 {
				t.Errorf("%s was put %d times, want a failure and a success", name, n)
			}
		}
		if keys := w.bucket.keys(); len(keys) != len(files) {
			t.Errorf("objects = %q, want one for each file", keys)
		}
	})
}

// TestOpenDayIsBuiltOnDownload: the file of today has every event at the time of the download, is
// built again only when there is more, and goes when its links have expired.
func TestOpenDayIsBuiltOnDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{})
		w.run(w.Service)
		const name = "1001_cust_2000-01-01.zip"
		link := func() string {
			out := w.ask(w.userA, http.MethodPost, custom+"getDownloadUrl/1001", `{"fileName":"`+name+`"}`)
			return out.Body.String()
		}
		empty := w.names(custom, name)
		w.arrive(0, time.Now(), event(1001, "a"))
		one := w.names(custom, name)
		first := link()
		if again := link(); again != first {
			t.Errorf("nothing has arrived, but %s became %s", first, again)
		}
		w.arrive(1, time.Now(), event(1001, "b"))
		two := w.names(custom, name)
		if diff := cmp.Diff([][]string{{}, {"a"}, {"a", "b"}}, [][]string{empty, one, two}); diff != "" {
			t.Errorf("builds (-want +got):\n%s", diff)
		}
		second := link()
		time.Sleep(w.cfg.DownloadTTL + time.Minute)
		w.arrive(1, time.Now(), event(2001, "theirs"))
		if third := link(); third != second {
			t.Errorf("of this product nothing has arrived, but %s became %s", second, third)
		}
		time.Sleep(80 * time.Minute) // beyond what the build alone is kept for
		if got := w.bucket.keys(); len(got) != 1 {
			t.Errorf("objects %q, want the one whose link was given last", got)
		}
		time.Sleep(4 * time.Hour)
		if got := w.bucket.keys(); len(got) != 0 {
			t.Errorf("objects = %q, want none", got)
		}
		if got := w.names(custom, name); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("built anew = %q", got)
		}
	})
}

// TestOpenFileOfAnotherVersionIsBuiltAnew: what the version before has built of an open day
// is not given again, although nothing has arrived since.
func TestOpenFileOfAnotherVersionIsBuiltAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{})
		w.run(w.Service)
		w.arrive(0, time.Now(), event(1001, "a"))
		kind := export.CustomEvents()
		name := kind.FileName(1001, export.DayOf(time.Now()))
		w.names(custom, name)
		files, err := w.deps.Registry.Exports(t.Context(), 1001, kind.Code)
		if err != nil || len(files) != 1 {
			t.Fatalf("files = %+v, %v", files, err)
		}
		older := files[0]
		older.Key = strings.Replace(older.Key, "/v2/", "/", 1)
		if err := w.deps.Registry.SaveTemporaryExport(t.Context(), older, time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		w.names(custom, name)
		if files, err = w.deps.Registry.Exports(t.Context(), 1001, kind.Code); err != nil || files[0].Key == older.Key {
			t.Errorf("the file of another version was given again: %+v, %v", files, err)
		}
	})
}

// TestReplacedFileGoesWithItsLinks: of a day that is asked for again and again while
// events arrive, the bucket keeps the last file, and others until their links have
// run out.
func TestReplacedFileGoesWithItsLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{})
		w.run(w.Service)
		const name = "1001_cust_2000-01-01.zip"
		for n := range 10 {
			w.arrive(0, time.Now(), event(1001, "e"+strconv.Itoa(n)))
			w.names(custom, name)
			time.Sleep(time.Second)
		}
		time.Sleep(w.cfg.DownloadTTL - 20*time.Second)
		if got := w.bucket.keys(); len(got) != 10 {
			t.Errorf("%d objects while the links work, want 10", len(got))
		}
		time.Sleep(7 * time.Minute)
		got := w.bucket.keys()
		if files, err := w.deps.Registry.Exports(t.Context(), 1001, "cust"); err != nil || len(got) != 1 || files[0].Key != got[0] {
			t.Errorf("objects %q, want that of the last build alone: %v, %v", got, files, err)
		}
	})
}

// TestFilesOfOpenDaysAreBounded: a product has so many objects of open days, whatever
// process builds them; more get 429 until one of them goes. What need not be built, and
// what others ask for, is answered.
func TestFilesOfOpenDaysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{DayFiles: 3})
		w.run(w.Service)
		other, err := newService(Config{DayFiles: 3}, w.deps, w.bucket)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(s *Service, user registry.User, product string) *httptest.ResponseRecorder {
			was := w.Service
			w.Service = s
			defer func() { w.Service = was }()
			return w.ask(user, http.MethodPost, custom+"getDownloadUrl/"+product, `{"fileName":"`+product+`_cust_2000-01-01.zip"}`)
		}
		for n := range 3 {
			w.arrive(0, time.Now(), event(1001, "e"+strconv.Itoa(n)))
			if out := ask(w.Service, w.userA, "1001"); out.Code != http.StatusOK {
				t.Fatalf("build %d: %d %s", n, out.Code, out.Body)
			}
		}
		if out := ask(other, w.userA, "1001"); out.Code != http.StatusOK {
			t.Errorf("what is built already: %d %s", out.Code, out.Body)
		}
		w.arrive(0, time.Now(), event(1001, "more"), event(1002, "a"), event(2001, "b"))
		for _, s := range []*Service{w.Service, other} {
			out := ask(s, w.userA, "1001")
			if out.Code != http.StatusTooManyRequests || !strings.Contains(out.Body.String(), "product 1001 has 3 files of open days") {
				t.Errorf("one more: %d %s, want 429", out.Code, out.Body)
			}
		}
		if out := ask(w.Service, w.userA, "1002"); out.Code != http.StatusOK {
			t.Errorf("another product of the account: %d %s", out.Code, out.Body)
		}
		if out := ask(w.Service, w.userB, "2001"); out.Code != http.StatusOK {
			t.Errorf("another account: %d %s", out.Code, out.Body)
		}
		wait, err := strconv.Atoi(ask(w.Service, w.userA, "1001").Header().Get("Retry-After"))
		if err != nil || wait < 60 || wait > 25*60 {
			t.Errorf("Retry-After = %d, %v; want some minutes", wait, err)
		}
		time.Sleep(time.Duration(wait) * time.Second)
		if out := ask(w.Service, w.userA, "1001"); out.Code != http.StatusOK {
			t.Errorf("after %d s: %d %s", wait, out.Code, out.Body)
		}
	})
}

// TestDisconnectEndsTheBuild proves that a build stops with the client that asked for
// it, and that what it has put is deleted.
func TestDisconnectEndsTheBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{Builds: 1})
		w.arrive(0, time.Now(), event(1001, "a"))
		w.bucket.setStuck(true)
		ctx, disconnect := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Minute); disconnect() }()
		q := export.Question{Kind: export.CustomEvents(), Product: 1001}
		name := q.Kind.FileName(1001, export.DayOf(time.Now()))
		if _, _, err := w.files.DownloadURL(ctx, q, name, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("build: %v, want %v", err, context.Canceled)
		}
		w.bucket.setStuck(false)
		if _, _, err := w.files.DownloadURL(t.Context(), q, name, ""); err != nil {
			t.Errorf("the place was not given back: %v", err)
		}
		time.Sleep(6 * time.Minute)
		if due, err := w.deps.Registry.PendingDeletes(t.Context(), 10); err != nil || len(due) != 1 {
			t.Errorf("objects to delete = %q, %v; want that of the build that has failed", due, err)
		}
		time.Sleep(2 * time.Hour)
		if err := w.files.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.bucket.keys(); len(got) != 0 {
			t.Errorf("objects = %q, want none", got)
		}
	})
}

// TestEachEventIsInOneDailyFile: over days and shards, each
// event is in exactly one daily file of all events.
func TestEachEventIsInOneDailyFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{CloseEvery: time.Hour})
		w.run(w.Service)
		want := map[string]int{}
		for n := range 60 {
			name := "e" + time.Duration(n).String()
			e := event(1001, name)
			e.Time = time.Date(1990+n%20, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() // when it happened does not matter
			w.arrive(int32(n%2), time.Now(), e)
			want[name] = 1
			time.Sleep(3*time.Hour + time.Duration(n)*time.Minute)
		}
		w.tick(time.Now().Add(24 * time.Hour))
		time.Sleep(25 * time.Hour)
		got := map[string]int{}
		files, err := w.deps.Registry.Exports(t.Context(), 1001, "raw")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			for _, name := range w.names(raw, "1001_"+f.First+".zip") {
				got[name]++
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events in files (-want +got):\n%s", diff)
		}
	})
}

// sorted returns the bytes of text in order.
func sorted(text string) string {
	all := []byte(text)
	slices.Sort(all)
	return string(all)
}

// TestMonthIsMadeOfItsDays: the file of a month has the records of the daily files,
// day by day. Where an object of these is lost or damaged, it has the same events in
// some order, and days go on closing.
func TestMonthIsMadeOfItsDays(t *testing.T) {
	for name, harm := range map[string]func(b *memBucket, key string){
		"whole":   func(*memBucket, string) {},
		"lost":    func(b *memBucket, key string) { delete(b.objects, key) },
		"damaged": func(b *memBucket, key string) { b.objects[key][len(b.objects[key])/3] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newExportWorld(t, Config{})
				for day, event := range []schemas.Event{event(1001, "a"), event(1001, "b"), exception("c"), event(1001, "d")} {
					w.arrive(0, time.Date(2000, 1, 28+day, 9, 0, 0, 0, time.UTC), event)
				}
				w.tick(time.Date(2000, 1, 31, 12, 0, 0, 0, time.UTC))
				if err := w.files.Maintain(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, key := range w.bucket.keys() {
					if strings.HasSuffix(key, "1001_cust_2000-01-29.zip") {
						harm(w.bucket, key)
					}
				}
				w.tick(time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC))
				if err := w.files.Maintain(t.Context()); err != nil {
					t.Fatal(err)
				}
				column := slices.IndexFunc(export.CustomEvents().Fields, func(f export.Field) bool { return f.Key == "event.name" })
				got, want := "", "abd"
				for _, row := range w.download(custom, "1001_cust_2000-01-01_to_2000-01-31.zip") {
					got += row[column]
				}
				if name != "whole" { // rows of a scan come in no order
					got, want = sorted(got), sorted(want)
				}
				if got != want {
					t.Errorf("month = %q, want %q", got, want)
				}
			})
		})
	}
}
