package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// limitRow is a row of the table "Limits" of deploy/README.md.
type limitRow struct{ setting, def, where, answer, metric string }

// limitRows reads the table. Cells are without the backquotes.
func limitRows(t *testing.T) []limitRow {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## Limits\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var rows []limitRow
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| setting") {
			continue
		}
		if len(cells) != 5 {
			t.Errorf("%d cells, want 5: %s", len(cells), line)
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "`", ""))
		}
		rows = append(rows, limitRow{cells[0], cells[1], cells[2], cells[3], cells[4]})
	}
	if !found || len(rows) == 0 {
		t.Fatal("deploy/README.md has no table Limits")
	}
	return rows
}

// TestLimitsAreDocumentedAsTheyAre compares each row of the table with the code: the
// setting exists and has that default, the files exist, and the metric is made somewhere.
func TestLimitsAreDocumentedAsTheyAre(t *testing.T) {
	var cfg Config
	settings, _ := listSettings(&cfg)
	code := sourceCode(t)
	metric := regexp.MustCompile(`weir_[a-z0-9_]+`)
	for _, row := range limitRows(t) {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == row.setting })
		switch {
		case row.setting == "none": // a constant of the code; default says its value
		case i < 0:
			t.Errorf("setting %q does not exist", row.setting)
		case settings[i].def != row.def:
			t.Errorf("%s: the table says default %q, the code %q", row.setting, row.def, settings[i].def)
		}
		for path := range strings.SplitSeq(row.where, ", ") {
			if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
				t.Errorf("%s: where it is enforced: %v", row.setting, err)
			}
		}
		if row.answer == "" {
			t.Errorf("%s: the table does not say what the client sees", row.setting)
		}
		for _, name := range metric.FindAllString(row.metric, -1) {
			// The metrics of the processor are named without their common beginning.
			if !strings.Contains(code, `"`+name+`"`) && !strings.Contains(code, `"`+strings.TrimPrefix(name, "weir_processor_")+`"`) {
				t.Errorf("%s: no metric %s", row.setting, name)
			}
		}
	}
}

// TestLimitsThatAreSettingsAreListed finds settings whose help says that they bound
// something, and requires a row for each.
func TestLimitsThatAreSettingsAreListed(t *testing.T) {
	var cfg Config
	settings, _ := listSettings(&cfg)
	rows := limitRows(t)
	limit := regexp.MustCompile(`_timeout$|\.max_|_max$|_limit$|_bytes$|_cap$|_wait$|_share$|_per_|_quota$|_rate$`)
	for _, s := range settings {
		listed := slices.ContainsFunc(rows, func(r limitRow) bool { return r.setting == s.key })
		if limit.MatchString(s.key) && !listed {
			t.Errorf("%s (%s) has no row in the table Limits of deploy/README.md", s.key, s.help)
		}
	}
}

// sourceCode returns all Go code that is no test.
func sourceCode(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, root := range []string{"deploy", "ingest", "processor", "query", "schemas"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
