package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"strconv"

	"weir/schemas"
)

const (
	rawRowBytes      = 32 << 20                     // of rows in memory while they are sorted
	rawIDBytes       = 8 << 20                      // of ids
	fingerprintBytes = 16                           // of client and random_id
	rowKey           = 8 + 4 + 8 + fingerprintBytes // bytes of log time, shard, offset and fingerprint
	rowRank          = 1 + 8                        // of the columns that its file lacks, and a hash
)

// rawImport gathers the rows of raw files and then sends them in the order of the log
// that they came from, because that order decides between observations of a client
// that have one time (schemas/DESIGN.md "Data model", last-by-time).
//
// A random_id that occurs in several events of a client was used again after the
// dedupe window. The server would drop all but the first of them, as they now come
// within the window, so the others get new ids. These are hashes of the event's
// place in the log: the same files give the same ids whenever they are sent.
type rawImport struct {
	sources []*inputFile // by the number that a row has of its file
	rows    diskSorter   // position, fingerprint of client and id, rank, event
	ids     diskSorter   // fingerprint, position
	kept    int64        // rows in rows

	repeated int64 // rows that came again, in another file or the same
	renewed  int64 // events whose id was used before
}

func newRawImport() *rawImport {
	return &rawImport{
		rows: diskSorter{key: rowKey + rowRank, limit: rawRowBytes},
		ids:  diskSorter{key: rowKey, limit: rawIDBytes},
	}
}

func (r *rawImport) close() {
	r.rows.close()
	r.ids.close()
}

// gather reads the rows of a file. reject takes those that are no event.
func (r *rawImport) gather(ctx context.Context, s *inputFile, in *csvReader, note func(string), reject func(item, schemas.ItemError) error) error {
	header, _, err := in.read()
	if err != nil {
		return fmt.Errorf("%w: %w", errNotRaw, err)
	}
	d, missing, err := newRawDecoder(header)
	if err != nil {
		return err
	}
	if in.last != '\n' {
		return errors.New("ends within the header: download it again")
	}
	if missing != nil {
		note(missingColumns(s.name, missing))
	}
	number := len(r.sources)
	r.sources = append(r.sources, s)
	for {
		fields, line, err := in.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if len(fields) == 1 && len(fields[0]) == 0 {
			continue // an empty line
		}
		e, bad := d.decode(fields)
		if bad == nil {
			if err := r.keep(e, number, line, len(missing)); err != nil {
				return err
			}
			continue
		}
		text := bytes.Join(fields, []byte(","))
		it := item{source: s, line: line, text: text[:min(len(text), longLineKept)], bad: bad.Reason}
		if err := reject(it, *bad); err != nil {
			return err
		}
	}
}

// keep adds one event to what is sorted. lacks are the columns that its file does not have.
func (r *rawImport) keep(e rawEvent, source, line, lacks int) error {
	r.kept++
	position, mark := e.appendKey(nil), e.fingerprint()
	if err := r.ids.add(append(mark[:fingerprintBytes:fingerprintBytes], position...)); err != nil {
		return err
	}
	row := e.appendRank(append(position, mark[:fingerprintBytes]...), lacks)
	for _, n := range []int64{int64(source), int64(line), e.client, e.time, int64(e.shard)} {
		row = binary.AppendVarint(row, n)
	}
	for _, text := range []string{e.id, e.appKey} {
		row = append(binary.AppendUvarint(row, uint64(len(text))), text...)
	}
	return r.rows.add(append(row, e.rest...))
}

// appendKey appends p so that bytes sort as log times, shards and offsets do. Log
// time comes first, so that the shards take turns and are sent side by side.
func (p rawPosition) appendKey(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.received)^1<<63)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.shard))
	return binary.BigEndian.AppendUint64(dst, uint64(p.offset))
}

// appendRank appends what decides between the rows of one place of the log, of which
// the first is sent: the one whose file has most columns, since those of an earlier
// version lack members of the event. A hash decides between equals, so that the order
// of the files does not matter.
func (e *rawEvent) appendRank(dst []byte, lacks int) []byte {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(e.appKey)) // never fails
	_, _ = hash.Write(e.rest)
	return hash.Sum(append(dst, byte(lacks)))
}

// fingerprint is a hash of the client and the id.
func (e *rawEvent) fingerprint() [sha256.Size]byte {
	return sha256.Sum256(strconv.AppendInt([]byte(e.id+"\x00"), e.client, 10))
}

// renewals yields the keys of the rows whose id an earlier row of the client has, in
// the order of rows.
func (r *rawImport) renewals() (*diskSorter, error) {
	out := &diskSorter{key: rowKey, limit: rawIDBytes}
	var last [rowKey]byte
	for id, err := range r.ids.all() {
		if err != nil {
			return out, err
		}
		if bytes.Equal(id[:fingerprintBytes], last[:fingerprintBytes]) && !bytes.Equal(id, last[:]) {
			if err := out.add(append(bytes.Clone(id[fingerprintBytes:]), id[:fingerprintBytes]...)); err != nil {
				return out, err
			}
		}
		copy(last[:], id)
	}
	r.ids.close()
	return out, nil
}

// rawRow is a row that was gathered.
type rawRow struct {
	key          []byte
	source, line int
	client, time int64
	shard        int32
	id, appKey   string
	rest         []byte
}

var errSortedRow = errors.New("a sorted row is damaged")

func decodeRow(record []byte) (row rawRow, err error) {
	row.key, record = record[:rowKey], record[rowKey+rowRank:]
	var numbers [5]int64
	for i := range numbers {
		n, size := binary.Varint(record)
		if size <= 0 {
			return row, errSortedRow
		}
		numbers[i], record = n, record[size:]
	}
	row.source, row.line, row.client, row.time, row.shard = int(numbers[0]), int(numbers[1]), numbers[2], numbers[3], int32(numbers[4])
	for _, to := range []*string{&row.id, &row.appKey} {
		n, size := binary.Uvarint(record)
		if size <= 0 || uint64(len(record)-size) < n {
			return row, errSortedRow
		}
		*to, record = string(record[size:size+int(n)]), record[size+int(n):]
	}
	row.rest = record
	return row, nil
}

// all yields the gathered rows in the order of the log, each place in it once, and
// with new ids where they are needed.
func (r *rawImport) all() iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		renew, err := r.renewals()
		defer renew.close()
		if err != nil {
			yield(rawRow{}, err)
			return
		}
		nextKey, stop := iter.Pull2(renew.all())
		defer stop()
		key, err, more := nextKey()
		var last [rowKey]byte
		for record, errRead := range r.rows.all() {
			if err = errors.Join(errRead, err); err != nil {
				yield(rawRow{}, err)
				return
			}
			if bytes.Equal(record[:rowKey], last[:]) {
				r.repeated++
				continue
			}
			copy(last[:], record)
			row, errRow := decodeRow(record)
			if more && bytes.Equal(key, row.key) {
				row.id = hashUUID(row.key)
				r.renewed++
				key, err, more = nextKey()
			}
			if !yield(row, errRow) || errRow != nil {
				return
			}
		}
	}
}
