package query

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/clientaddr"
	"weir/schemas/values"
)

const (
	defaultLines = 10
	maxLines     = 1000
)

// exportFiles answers for the export files of the Reporting API.
type exportFiles struct {
	responder
	files          *export.Files
	publicEndpoint string             // see Config.PublicEndpoint
	directLinks    bool               // see Config.DirectLinks
	proxies        clientaddr.Proxies // see Config.Proxies
}

// ofKind makes a question about a product one about its exports of one kind.
func ofKind(kind export.Kind, answer func(http.ResponseWriter, *http.Request, export.Question) error) func(http.ResponseWriter, *http.Request, productQuestion) error {
	return func(w http.ResponseWriter, r *http.Request, q productQuestion) error {
		return answer(w, r, export.Question{Kind: kind, Account: q.product.Account, Product: q.product.ID, Watermark: q.watermark})
	}
}

// rawExport lets questions about raw events through while the product's switch is
// on.
func rawExport(answer func(http.ResponseWriter, *http.Request, productQuestion) error) func(http.ResponseWriter, *http.Request, productQuestion) error {
	return func(w http.ResponseWriter, r *http.Request, q productQuestion) error {
		if !q.product.RawExport {
			return &schemas.RequestError{
				Status: http.StatusForbidden, Code: "switched_off",
				Detail: fmt.Sprintf("product_id: raw data export of product %d is off; weir admin product set --id %[1]d --raw-export switches it on", q.product.ID),
			}
		}
		return answer(w, r, q)
	}
}

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

// list answers with the files of custom events or of exceptions.
func (e exportFiles) list(w http.ResponseWriter, r *http.Request, q export.Question) error {
	all, coverage, err := e.files.List(r.Context(), q)
	if err != nil {
		return err
	}
	answer := struct {
		Status       string        `json:"status"`
		OpenFiles    []openFile    `json:"openDailyFiles"`
		DailyFiles   []dailyFile   `json:"dailyFiles"`
		MonthlyFiles []monthlyFile `json:"monthlyFiles"`
	}{"OK", []openFile{}, []dailyFile{}, []monthlyFile{}}
	for _, o := range all.Open {
		answer.OpenFiles = append(answer.OpenFiles, openFile{
			FileName: q.Kind.FileName(q.Product, o.Day), UncompressedSizeKB: kilobytes(o.CSVBytes),
			FileDate: o.Day.FirstDay(), IsAvailable: !o.Complete,
		})
	}
	for _, c := range all.Closed {
		name := q.Kind.FileName(q.Product, c.Period)
		csv, zip := kilobytes(c.File.CSVBytes), kilobytes(c.File.ZipBytes)
		if c.Period.Daily() {
			answer.DailyFiles = append(answer.DailyFiles, dailyFile{name, csv, zip, c.File.First})
			continue
		}
		answer.MonthlyFiles = append(answer.MonthlyFiles, monthlyFile{name, csv, zip, c.File.First, c.File.Last})
	}
	setCoverage(w.Header(), coverage)
	return e.writeAnswer(r.Context(), w, answer)
}

// listRaw answers with the files of all events, newest first. The size of an
// open file is not known: it is that of its last build, or 0.
func (e exportFiles) listRaw(w http.ResponseWriter, r *http.Request, q export.Question) error {
	all, coverage, err := e.files.List(r.Context(), q)
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
	for _, o := range slices.Backward(all.Open) {
		answer.FileList = append(answer.FileList, rawFile{q.Kind.FileName(q.Product, o.Day), o.Day.FirstDay(), kilobytes(o.Last.ZipBytes)})
	}
	for _, c := range slices.Backward(all.Closed) {
		answer.FileList = append(answer.FileList, rawFile{q.Kind.FileName(q.Product, c.Period), c.File.First, kilobytes(c.File.ZipBytes)})
	}
	setCoverage(w.Header(), coverage)
	return e.writeAnswer(r.Context(), w, answer)
}

// kilobytes is n in units of 1024 bytes, to three digits.
func kilobytes(n int64) float64 {
	return math.Round(float64(n)/1024*1000) / 1000
}

// downloadURL answers with a link to a file. A file of an open day is built for
// it.
func (e exportFiles) downloadURL(w http.ResponseWriter, r *http.Request, q export.Question) error {
	var body struct {
		FileName *string `json:"fileName"`
	}
	if err := e.readBody(w, r, &body); err != nil {
		return err
	}
	if body.FileName == nil {
		return badField("fileName", "is missing")
	}
	link, coverage, err := e.files.DownloadURL(r.Context(), q, *body.FileName, e.storeEndpoint(r))
	if err != nil {
		return err
	}
	setCoverage(w.Header(), coverage)
	return e.writeAnswer(r.Context(), w, struct {
		DownloadURL string `json:"downloadUrl"`
	}{link})
}

// storeEndpoint is the object store as the client sees it: the configured
// endpoint; else "" for the store's own address, if clients reach that; else the
// address that the client used for this request, which is proxied to the store.
func (e exportFiles) storeEndpoint(r *http.Request) string {
	if e.publicEndpoint != "" || e.directLinks {
		return e.publicEndpoint
	}
	if overHTTPS(r, e.proxies) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// lastLines answers with the newest events of a kind: those that arrived last,
// newest first, with the columns of the CSV.
func (e exportFiles) lastLines(w http.ResponseWriter, r *http.Request, q export.Question) error {
	var body struct {
		LineCount jsontext.Value `json:"lineCount"`
	}
	if err := e.readBody(w, r, &body); err != nil {
		return err
	}
	count, err := lineCount(body.LineCount)
	if err != nil {
		return err
	}
	place, err := e.views.AcquireScan(r.Context(), q.Account)
	if err != nil {
		return err
	}
	defer place.Release()
	lines, coverage, err := e.files.LastLines(r.Context(), q, count)
	if errors.Is(err, export.ErrLinesTooLarge) {
		return badField("lineCount", "is too large for events of this size, ask for fewer")
	}
	if err != nil {
		return err
	}
	setCoverage(w.Header(), coverage)
	place.Leave()
	return e.writeLines(w, q.Kind, lines)
}

// lineCount reads a number, or a number as a string: the published API shows
// both.
func lineCount(v jsontext.Value) (int, error) {
	if v == nil || v.Kind() == 'n' {
		return defaultLines, nil
	}
	n, whole := values.Whole(bytes.Trim(v, `"`))
	if !whole || n < 1 || n > maxLines {
		return 0, badField("lineCount", "must be a whole number from 1 to "+strconv.Itoa(maxLines))
	}
	return int(n), nil
}

// writeLines writes the answer, members in the order of the columns.
func (e exportFiles) writeLines(w http.ResponseWriter, k export.Kind, lines [][]byte) error {
	answer := k.AppendFieldNames([]byte(`{"status":"OK","fieldNames":`))
	answer = append(answer, `,"result":[`...)
	for n, line := range lines {
		if n > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, line...)
	}
	answer = append(answer, "]}\n"...)
	w.Header().Set("Content-Type", "application/json")
	_, err := (&answerWriter{limits: e.limits, to: w}).Write(answer)
	return err
}
