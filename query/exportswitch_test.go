package query

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/registry"
)

// rawFiles are the files that rawEvents lists for product 1001, or its error.
func (w *exportWorld) rawFiles() []string {
	w.t.Helper()
	out := w.ask(w.userA, http.MethodGet, raw+"listFiles/1001", "")
	if out.Code != http.StatusOK {
		return []string{out.Body.String()}
	}
	files := []string{}
	for _, part := range strings.Split(out.Body.String(), `"fileName":"`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		files = append(files, name)
	}
	return files
}

func (w *exportWorld) switchRaw(on bool) {
	w.t.Helper()
	if _, err := registry.SetProduct(w.t.Context(), w.deps.Registry, 1001, registry.ProductChange{RawExport: &on}); err != nil {
		w.t.Fatal(err)
	}
}

// TestRawExportIsSwitchedOff closes a day before, while and after the raw export of
// a product is off. Other kinds and other products are built all the same.
func TestRawExportIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{CloseEvery: time.Hour})
		w.run(w.Service)
		const off = `{"status":"AUTH ERROR","reason":"product_id: raw data export of product 1001 is off; ` +
			`weir admin product set --id 1001 --raw-export switches it on"}`
		closeDay := func(name string) {
			w.arrive(0, time.Now(), event(1001, name), event(1002, name))
			time.Sleep(24 * time.Hour)
			w.tick(time.Now())
			time.Sleep(time.Hour + time.Minute)
		}
		closeDay("before")
		if diff := cmp.Diff([]string{"1001_2000-01-02.zip", "1001_2000-01-01.zip"}, w.rawFiles()); diff != "" {
			t.Errorf("before (-want +got):\n%s", diff)
		}
		w.switchRaw(false)
		closeDay("meanwhile")
		if diff := cmp.Diff([]string{off}, w.rawFiles()); diff != "" {
			t.Errorf("off (-want +got):\n%s", diff)
		}
		for _, day := range []string{"2000-01-01", "2000-01-02", "2000-01-03"} {
			out := w.ask(w.userA, http.MethodPost, raw+"getDownloadUrl/1001", `{"fileName":"1001_`+day+`.zip"}`)
			if out.Code != http.StatusForbidden || out.Body.String() != off {
				t.Errorf("off, link to %s: %d %s", day, out.Code, out.Body)
			}
		}
		if got := w.bucket.attempts(); got["1001_2000-01-02.zip"] != 0 || got["1002_2000-01-02.zip"] != 1 || got["1001_cust_2000-01-02.zip"] != 1 {
			t.Errorf("built while off: %v", got)
		}
		w.switchRaw(true)
		closeDay("after")
		if diff := cmp.Diff([]string{"1001_2000-01-04.zip", "1001_2000-01-03.zip", "1001_2000-01-01.zip"}, w.rawFiles()); diff != "" {
			t.Errorf("on again (-want +got):\n%s", diff)
		}
		if got := w.names(raw, "1001_2000-01-01.zip"); !cmp.Equal(got, []string{"before"}) {
			t.Errorf("the file of before = %q", got)
		}
		out := w.ask(w.userA, http.MethodPost, raw+"getDownloadUrl/1001", `{"fileName":"1001_2000-01-02.zip"}`)
		if out.Code != http.StatusNotFound {
			t.Errorf("link to the day that closed while off: %d %s, want 404", out.Code, out.Body)
		}
	})
}
