package query

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/errgroup"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// folder is an object store of plain files, so that another engine can read the
// lake.
type folder string

func (f folder) at(key string) string { return filepath.Join(string(f), filepath.FromSlash(key)) }

func (f folder) Put(_ context.Context, key string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.at(key)), 0o700); err != nil {
		return err
	}
	return os.WriteFile(f.at(key), body, 0o600)
}

func (f folder) Get(_ context.Context, key string) ([]byte, error) { return os.ReadFile(f.at(key)) }

func (f folder) GetRange(_ context.Context, key string, off, n int64) ([]byte, error) {
	file, err := os.Open(f.at(key))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	body := make([]byte, n)
	_, err = file.ReadAt(body, off)
	return body, err
}

func (f folder) Stat(_ context.Context, key string) (int64, error) {
	info, err := os.Stat(f.at(key))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f folder) Delete(_ context.Context, keys ...string) error {
	for _, key := range keys {
		if err := os.Remove(f.at(key)); err != nil {
			return err
		}
	}
	return nil
}

func (f folder) List(_ context.Context, prefix string) iter.Seq2[columns.Object, error] {
	return func(yield func(columns.Object, error) bool) {
		err := filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			key, err := filepath.Rel(string(f), path)
			if key = filepath.ToSlash(key); err != nil || !strings.HasPrefix(key, prefix) {
				return err
			}
			info, err := d.Info()
			if err == nil && !yield(columns.Object{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(columns.Object{}, err)
		}
	}
}

// benchShard is one shard of the year that is being written.
type benchShard struct {
	lake  *lake.Lake
	shard int32
	rows  *columns.Builder
	set   *rollup.Set
	next  int64 // offset
	files map[lake.Table][]lake.DataFile
}

// writeShard rolls up the days of a year, a month at a time as cuts do, and
// merges the files as compaction does, to one data file for each partition and
// table. The days of the tail are not in the lake: they are returned as the
// batch that the shard's owner holds, and their rollups as files that no table
// has.
func (y *benchYear) writeShard(ctx context.Context, l *lake.Lake, shard int32) (s *benchShard, held arrow.Record, tail map[lake.Table][]lake.DataFile, err error) {
	s = &benchShard{lake: l, shard: shard, rows: columns.NewBuilder(memory.DefaultAllocator), next: listFirst}
	s.files = map[lake.Table][]lake.DataFile{}
	defer s.rows.Release()
	r := y.random(1000 + uint64(shard))
	s.set = rollup.NewSet()
	for day := range benchDays - benchTailDays {
		y.appendDay(r, s, day)
		if next := y.first.AddDate(0, 0, day+1); next.Day() == 1 || day == benchDays-benchTailDays-1 {
			if err := s.writeRollups(ctx); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	if err := s.merge(ctx); err != nil {
		return nil, nil, nil, err
	}
	y.committed[shard] = s.next
	for day := benchDays - benchTailDays; day < benchDays; day++ {
		y.appendDay(r, s, day)
	}
	held = s.rows.Batch()
	if err := s.set.AddBatch(held); err != nil {
		return nil, nil, nil, err
	}
	tail, err = l.WriteRollups(ctx, shard, s.set)
	return s, held, tail, err
}

// flush rolls up the rows gathered so far.
func (s *benchShard) flush() error {
	rec := s.rows.Batch()
	defer rec.Release()
	return s.set.AddBatch(rec)
}

func (s *benchShard) writeRollups(ctx context.Context) error {
	if err := s.flush(); err != nil {
		return err
	}
	files, err := s.lake.WriteRollups(ctx, s.shard, s.set)
	if err != nil {
		return err
	}
	for t, more := range files {
		s.files[t] = append(s.files[t], more...)
	}
	s.set = rollup.NewSet()
	return nil
}

func (s *benchShard) merge(ctx context.Context) error {
	for t, files := range s.files {
		parts := map[int32][]lake.DataFile{}
		for _, f := range files {
			parts[f.Partition] = append(parts[f.Partition], f)
		}
		s.files[t] = nil
		for _, part := range parts {
			merged, err := s.lake.Merge(ctx, t, part)
			if err != nil {
				return err
			}
			s.files[t] = append(s.files[t], merged...)
		}
	}
	return nil
}

// benchTables are the files with the rollups of a benchYear.
type benchTables struct {
	Lake []string `json:"lake"` // data files of the table
	Tail []string `json:"tail"` // the same of what is not committed
}

// fillLake writes the year. The events table stays empty: reports do not read
// events that are rolled up, so that the table only has to state its offsets.
func (w *listWorld) fillLake(b *testing.B, y *benchYear, dir folder) map[lake.Table]benchTables {
	b.Helper()
	shards := make([]*benchShard, listShards)
	tails := make([]map[lake.Table][]lake.DataFile, listShards)
	g, ctx := errgroup.WithContext(b.Context())
	for i := range shards {
		g.Go(func() (err error) {
			shards[i], w.shards[i].kept, tails[i], err = y.writeShard(ctx, w.deps.Lake, int32(i))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	out := map[lake.Table]benchTables{}
	for _, t := range append([]lake.Table{lake.Events}, lake.Rollups()...) {
		var cuts []lake.Cut
		var files benchTables
		for i, s := range shards {
			to := lake.ShardState{First: listFirst, Next: y.committed[i], LogTime: arrivalAt(y.committed[i] - 1)}
			cuts = append(cuts, lake.Cut{ID: fmt.Sprint(t, i), Shard: int32(i), From: listFirst, To: to, Files: s.files[t], Sealed: time.Now()})
			files.Lake = append(files.Lake, dir.paths(s.files[t])...)
			files.Tail = append(files.Tail, dir.paths(tails[i][t])...)
			w.shards[i].base, w.shards[i].next, w.shards[i].state = y.committed[i], s.next, to
		}
		outcomes, err := w.deps.Lake.Commit(b.Context(), t, cuts)
		if err != nil || outcomes[0] != lake.Committed {
			b.Fatalf("commit of %s: %v, %v", t, outcomes, err)
		}
		if t != lake.Events {
			out[t] = files
		}
	}
	return out
}

func (f folder) paths(files []lake.DataFile) []string {
	var out []string
	for i := range files {
		out = append(out, f.at(files[i].Path))
	}
	return out
}
