package lake

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"weir/schemas/columns"
)

// MakeFile describes a data file of t that was never written: n rows of shard
// from offset on.
func (l *Lake) MakeFile(t Table, shard int32, offset, n int64) (DataFile, error) {
	int64Bound := func(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
	st := l.tables[t]
	schema := icebergSchema(st.columns)
	lower, upper := map[int][]byte{}, map[int][]byte{}
	for _, f := range schema.Fields() {
		switch {
		case f.Name == "shard":
			lower[f.ID] = binary.LittleEndian.AppendUint32(nil, uint32(shard))
			upper[f.ID] = lower[f.ID]
		case f.Name == "offset":
			lower[f.ID], upper[f.ID] = int64Bound(offset), int64Bound(offset+n-1)
		case f.Type == iceberg.PrimitiveTypes.Date:
			lower[f.ID] = binary.LittleEndian.AppendUint32(nil, 20_000)
			upper[f.ID] = lower[f.ID]
		case f.Type == iceberg.PrimitiveTypes.TimestampTz:
			lower[f.ID], upper[f.ID] = int64Bound(20_000*86_400_000_000), int64Bound(20_000*86_400_000_000+7000)
		case f.Type == iceberg.PrimitiveTypes.Int64:
			lower[f.ID], upper[f.ID] = int64Bound(1), int64Bound(9)
		}
	}
	path := l.uri(fmt.Sprintf("%s/data/%d-%d-%s.parquet", l.tableKey(t), shard, offset, uuid.NewString()))
	by := l.tables[t].division()
	b, err := iceberg.NewDataFileBuilder(by.spec, iceberg.EntryContentData, path, iceberg.ParquetFile,
		by.partitionData(657), nil, nil, n, 100*n)
	if err != nil {
		return DataFile{}, err
	}
	return st.bounds.newDataFile(b.LowerBoundValues(lower).UpperBoundValues(upper).Build())
}

// OpenBefore is Open of a version whose table of events has the first n columns only.
func OpenBefore(ctx context.Context, cfg Config, cat Catalog, store ObjectStore, n int) (*Lake, error) {
	rows := tables()
	for i := range rows {
		if rows[i].table == Events {
			rows[i].schema = func() *arrow.Schema { return arrow.NewSchema(columns.Schema().Fields()[:n], nil) }
		}
	}
	return openTables(ctx, cfg, cat, store, rows)
}

// SetProperty sets a property of t.
func (l *Lake) SetProperty(ctx context.Context, t Table, key, value string) error {
	props := iceberg.Properties{key: value}
	_, _, err := l.cat.CommitTable(ctx, ident(t), nil, []table.Update{table.NewSetPropertiesUpdate(props)})
	return err
}

// SetRef makes a branch or a tag of t show a snapshot, as another engine may.
func (l *Lake) SetRef(ctx context.Context, t Table, name string, snapshot int64, kind table.RefType) error {
	ref := table.NewSetSnapshotRefUpdate(name, snapshot, kind, 0, 0, 0)
	_, _, err := l.cat.CommitTable(ctx, ident(t), nil, []table.Update{ref})
	return err
}

// AddAgain adds files to t as another engine may: without shard states.
func (l *Lake) AddAgain(ctx context.Context, t Table, files []DataFile) error {
	s, err := l.Load(ctx, t)
	if err != nil {
		return err
	}
	tx := s.tbl.NewTransaction()
	if err := tx.AddDataFiles(ctx, icebergFiles(files), nil, table.WithoutDuplicateCheck()); err != nil {
		return err
	}
	_, err = tx.Commit(ctx)
	return err
}

// SetWrittenAt says when this process wrote f.
func SetWrittenAt(f DataFile, at time.Time) DataFile {
	f.written = &writtenFile{entry: f.written.entry, at: at}
	return f
}

// AdvanceRecent is Advance with the rule about old cuts.
func AdvanceRecent(current ShardStates, cuts []Cut, oldest time.Time) (ShardStates, []Outcome) {
	return advanceRecent(current, cuts, oldest)
}

// SortKey is one column of a sort order or of a partition spec.
type SortKey struct {
	Column    string
	Transform iceberg.Transform
}

// Layout returns the partition spec of t, without a column where it has no field, of
// runs or of before, and the sort order.
func Layout(t Table, runs bool) (partition SortKey, sort []SortKey) {
	for _, row := range tables() {
		if row.table == t {
			p := row.before
			if runs {
				p = row.partition
			}
			partition = SortKey{p.column, p.transform}
			for _, k := range row.sort {
				sort = append(sort, SortKey{k.column, k.transform})
			}
		}
	}
	return partition, sort
}

// ScanAll yields all rows and columns of files, which may be of any table.
func (l *Lake) ScanAll(ctx context.Context, t Table, files ...DataFile) iter.Seq2[arrow.Record, error] {
	return l.scan(ctx, t, files, nil, columns.Filter{})
}

// Entry returns how Iceberg describes f, which this process has written.
func (f DataFile) Entry() iceberg.DataFile { return f.written.entry }

// Operation returns the operation that made s.
func (s *Snapshot) Operation() table.Operation { return s.tbl.CurrentSnapshot().Summary.Operation }
