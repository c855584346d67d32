package query

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"weir/query/export"
	"weir/schemas/columns"
	"weir/schemas/registry"
)

// guessedWidth is the bytes of a row before any file was built.
const guessedWidth = 256

// openFile, dailyFile and monthlyFile are elements of a list of files.
type openFile struct {
	FileName           string  `json:"fileName"`
	UncompressedSizeKB float64 `json:"uncompressedSizeKB"`
	FileDate           string  `json:"fileDate"`
	IsAvailable        bool    `json:"isAvailable"`
}

type dailyFile struct {
	FileName           string  `json:"fileName"`
	UncompressedSizeKB float64 `json:"uncompressedSizeKB"`
	CompressedSizeKB   float64 `json:"compressedSizeKB"`
	FileDate           string  `json:"fileDate"`
}

type monthlyFile struct {
	FileName           string  `json:"fileName"`
	UncompressedSizeKB float64 `json:"uncompressedSizeKB"`
	CompressedSizeKB   float64 `json:"compressedSizeKB"`
	FileStartDate      string  `json:"fileStartDate"`
	FileStopDate       string  `json:"fileStopDate"`
}

// listFiles answers with the files of the two tracking exports.
func (s *Service) listFiles(w http.ResponseWriter, r *http.Request, q exportQuestion) error {
	all, err := s.shelf(r.Context(), w.Header(), q)
	if err != nil {
		return err
	}
	answer := struct {
		Status       string        `json:"status"`
		OpenFiles    []openFile    `json:"openDailyFiles"`
		DailyFiles   []dailyFile   `json:"dailyFiles"`
		MonthlyFiles []monthlyFile `json:"monthlyFiles"`
	}{"OK", []openFile{}, []dailyFile{}, []monthlyFile{}}
	for _, o := range all.open {
		answer.OpenFiles = append(answer.OpenFiles, openFile{
			FileName: q.kind.FileName(q.product.ID, o.day), UncompressedSizeKB: kilobytes(o.bytes),
			FileDate: o.day.FirstDay(), IsAvailable: !o.closed,
		})
	}
	for _, c := range all.closed {
		name := q.kind.FileName(q.product.ID, c.days)
		raw, packed := kilobytes(c.file.CSVBytes), kilobytes(c.file.ZipBytes)
		if c.days.Daily() {
			answer.DailyFiles = append(answer.DailyFiles, dailyFile{name, raw, packed, c.file.First})
			continue
		}
		answer.MonthlyFiles = append(answer.MonthlyFiles, monthlyFile{name, raw, packed, c.file.First, c.file.Last})
	}
	return s.writeAnswer(w, answer)
}

// listRawFiles answers with the files of all events, newest first. What is
// open is of a size that nobody knows yet: that of its last build, or 0.
func (s *Service) listRawFiles(w http.ResponseWriter, r *http.Request, q exportQuestion) error {
	all, err := s.shelf(r.Context(), w.Header(), q)
	if err != nil {
		return err
	}
	type rawFile struct {
		FileName         string  `json:"fileName"`
		FileDate         string  `json:"fileDate"`
		CompressedSizeKB float64 `json:"compressedSizeKB"`
	}
	answer := struct {
		FileList []rawFile `json:"fileList"`
	}{[]rawFile{}}
	for _, o := range slices.Backward(all.open) {
		answer.FileList = append(answer.FileList, rawFile{q.kind.FileName(q.product.ID, o.day), o.day.FirstDay(), kilobytes(o.last.ZipBytes)})
	}
	for _, c := range slices.Backward(all.closed) {
		answer.FileList = append(answer.FileList, rawFile{q.kind.FileName(q.product.ID, c.days), c.file.First, kilobytes(c.file.ZipBytes)})
	}
	return s.writeAnswer(w, answer)
}

// kilobytes is n in units of 1024 bytes, to three digits.
func kilobytes(n int64) float64 {
	return math.Round(float64(n)/1024*1000) / 1000
}

// shelf is all files of one kind and product there are.
type shelf struct {
	open   []openDay
	closed []closedFile
}

// openDay is a day whose file is not built for good.
type openDay struct {
	day    export.Days
	closed bool                // no more events can come: the file is about to be built
	rows   int64               // events there are now
	bytes  int64               // of their CSV, about
	last   registry.ExportFile // the last build; zero without one
}

type closedFile struct {
	days export.Days
	file registry.ExportFile
}

// shelf finds the files of q. Today's is always there; another open day only
// if it has events.
func (s *Service) shelf(ctx context.Context, h http.Header, q exportQuestion) (shelf, error) {
	var all shelf
	files, err := s.deps.Registry.Exports(ctx, q.product.ID, q.kind.Code)
	if err != nil {
		return all, err
	}
	built, width := map[string]registry.ExportFile{}, int64(guessedWidth)
	for _, f := range files {
		days, err := export.ParseDays(f.First, f.Last)
		if err != nil {
			return all, fmt.Errorf("export %s: %w", f.Key, err)
		}
		if f.Rows > 0 {
			width = (f.CSVBytes - q.kind.HeaderBytes()) / f.Rows
		}
		if f.Version == 0 {
			built[f.First] = f
			continue
		}
		all.closed = append(all.closed, closedFile{days, f})
	}
	all.open, err = s.openDays(ctx, h, q)
	if err != nil {
		return all, err
	}
	for i := range all.open {
		o := &all.open[i]
		o.last = built[o.day.FirstDay()]
		o.bytes = q.kind.HeaderBytes() + o.rows*width
		if o.last.Rows == o.rows && o.last.CSVBytes > 0 {
			o.bytes = o.last.CSVBytes
		}
	}
	return all, nil
}

// openDays counts the events of the days that are not built yet, and says in
// h what it included.
func (s *Service) openDays(ctx context.Context, h http.Header, q exportQuestion) ([]openDay, error) {
	done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	state, err := s.closing(ctx)
	if err != nil {
		return nil, err
	}
	first, today := state.next, state.today
	names := append(export.WantColumns(), columns.Arrival)
	filter := columns.Filter{Products: []int64{q.product.ID}, ArrivalFrom: first.First.UnixMilli()}
	v, err := s.plan(ctx, question{columns: names, filter: filter, watermark: q.want})
	if err != nil {
		return nil, err
	}
	defer v.close()
	counts := map[time.Time]int64{}
	rows := export.NewRows()
	for rec, err := range v.events(ctx, names, filter) {
		if err != nil {
			return nil, err
		}
		if err := rows.Bind(rec); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		for i := range rows.Rows {
			if q.kind.Wants(rows, i) {
				counts[export.DayOf(time.UnixMicro(int64(rows.Arrival[i]))).First]++
			}
		}
	}
	v.headers(h)
	var open []openDay
	for d := first; !d.First.After(today.First); d = d.Next() {
		if n := counts[d.First]; n > 0 || d == today {
			open = append(open, openDay{day: d, rows: n, closed: !d.End().After(state.until)})
		}
	}
	return open, nil
}
